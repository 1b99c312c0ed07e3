
// In a built page, at the end of the script: bring all widgets of this kind that are still asleep
// to life, so that a page needs the script once. The model that each gets keeps the traits and
// answers from the page itself.
for (const page of document.querySelectorAll(`.scenecam-page[data-asleep="${KIND}"]`)) {
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
}
