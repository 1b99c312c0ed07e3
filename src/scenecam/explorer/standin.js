
// In a built page, after explorer.js in the same script: bring the first explorer that is still
// asleep to life. The model that it gets keeps the traits and answers from the page itself.
const page = document.querySelector(".scenecam-page[data-asleep]");
page.removeAttribute("data-asleep");
const { state, header, files } = JSON.parse(page.querySelector("script").textContent);
const hears = {};
const emit = (event, ...rest) => (hears[event] ?? []).forEach((hear) => hear(...rest));
const decode = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
render({ el: page.querySelector(".scenecam"), model: {
  get: (trait) => state[trait],
  set: (trait, value) => { state[trait] = value; },
  on: (event, hear) => { (hears[event] ??= []).push(hear); },
  off: (event, hear) => { hears[event] = hears[event].filter((each) => each !== hear); },
  save_changes: () => emit("change"),
  send: () => emit("msg:custom", header, files.map(decode)),
} });
