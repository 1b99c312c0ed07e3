// Maps, logits and probabilities that follow one weight. Maps and logits lie on a line: what they
// are at the start, plus the way that the weight has gone times their change. After shared.js.

const KIND = "weight";
const STEPS = 100; // of the slider
// matplotlib's RdBu_r, which mixes its colours of these as `paint` does.
const COLOURS = [[5, 48, 97], [33, 102, 172], [67, 147, 195], [146, 197, 222], [209, 229, 240],
  [247, 247, 247], [253, 219, 199], [244, 165, 130], [214, 96, 77], [178, 24, 43], [103, 0, 31]];

async function unpack(header, [bulk, ...files]) {
  const bytes = new Uint8Array(bulk.buffer, bulk.byteOffset, bulk.byteLength);
  const [all, [h, w]] = [new Float32Array(bytes.slice().buffer), header.size];
  const take = (k) => all.subarray(k * h * w, (k + 1) * h * w);
  const maps = header.names.map((_, i) => [take(i), take(header.names.length + i)]);
  const pictures = await Promise.all(files.map((file) =>
    createImageBitmap(new Blob([file]), { colorSpaceConversion: "none" })));
  const data = { ...header, h, w, maps, pictures };
  const ends = header.ends.flatMap((end) => stateAt(data, end).maps);
  return { ...data, limit: Math.max(...ends.flatMap((map) => [...map.map(Math.abs)])) || 1 };
}

const along = ([start, change], way) => start.map((value, i) => value + way * change[i]);
const sum = (values) => values.reduce((a, b) => a + b, 0);
const furthest = (a, b) => Math.max(...a.map((value, i) => Math.abs(value - b[i])));
const fixed = (value, digits = 3) => { // no minus before a zero
  const text = value.toFixed(digits);
  return (Number(text) ? text : text.replace("-", "")).replace("-", "\u2212");
};

// All that is shown for one value of the weight.
function stateAt(data, weight) {
  const way = weight - data.start;
  const logits = along(data.logits, way);
  const odds = logits.map((logit) => Math.exp(logit - Math.max(...logits)));
  return { weight, logits, probabilities: odds.map((each) => each / sum(odds)),
    maps: data.maps.map((line) => along(line, way)) };
}

// Does the map add up to the logit? Of two classes: to the difference of their logits.
function account(data, classes, map, logits) {
  const of = (values) => values[classes[0]] - (classes.length > 1 ? values[classes[1]] : 0);
  // Rounded before they are added, so that what is written adds up.
  const rounded = (value) => Math.round(1000 * value) / 1000;
  const part = rounded(sum(map) / (data.total === "mean" ? map.length : 1));
  const [bias, logit] = [rounded(of(data.bias)), of(logits)];
  const what = classes.length > 1 ? "difference of the logits" : "logit";
  const terms = `${fixed(part)} ${bias < 0 ? "\u2212" : "+"} ${fixed(Math.abs(bias))}`;
  const holds = Math.abs(part + bias - logit) < 0.005;
  return `${data.total} + bias = ${terms} = ${fixed(part + bias)}, `
    + (holds ? `the ${what}` : `but the ${what} is ${fixed(logit)}`);
}

// What has changed since the start, of what is shown.
function changes(data, first, now) {
  if (now.weight === first.weight) return "Drag the slider, or move it with the arrow keys.";
  const maps = data.names.map((name, i) => {
    const most = furthest(now.maps[i], first.maps[i]);
    return `${name} ${most < 0.0005 ? "nothing" : `up to ${number(most)}`}`;
  });
  const points = 100 * furthest(now.probabilities, first.probabilities);
  return `The weight went from ${number(first.weight)} to ${number(now.weight)}. What changed in `
    + `the maps: ${maps.join("; ")}; in the probabilities: `
    + (points < 0.005 ? "nothing." : `up to ${fixed(points, 1)} percentage points.`);
}

function paint(canvas, { h, w, limit }, map) {
  const pixels = new ImageData(w, h);
  const last = COLOURS.length - 1;
  map.forEach((value, i) => { // between two of the colours
    const place = last * clamp(0.5 + value / limit / 2, 0, 1);
    const k = Math.min(Math.floor(place), last - 1);
    const mixed = COLOURS[k].map((one, c) => one + (place - k) * (COLOURS[k + 1][c] - one));
    pixels.data.set([...mixed.map(Math.round), 255], 4 * i);
  });
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

function build(root, data, model) {
  const [first, [low, high]] = [stateAt(data, data.start), data.ends];
  const set = (weight) => { model.set("weight", weight); model.save_changes(); };

  const value = make("b", { "aria-hidden": true });
  const slider = make("input",
    { type: "range", min: 0, max: STEPS, "aria-label": data.weight });
  slider.addEventListener("input", () =>
    set(clamp(low + (high - low) * slider.value / STEPS, low, high)));
  const back = make("button", { type: "button" }, "Back to the start");
  back.onclick = () => set(data.start);
  const controls = make("div", { class: "controls" },
    make("label", {}, make("span", {}, data.weight, value), slider), back);

  const figure = (canvas, caption) => make("figure", {}, make("div", {}, canvas), caption);
  const panels = data.names.map(() => {
    const canvas = make("canvas", { width: data.w, height: data.h, role: "img" });
    return { canvas, caption: make("figcaption") };
  });
  const pictures = data.pictures.map((picture) => {
    const { width, height } = picture;
    const canvas = make("canvas", { width, height, role: "img", "aria-label": "the picture" });
    canvas.getContext("2d").drawImage(picture, 0, 0);
    return figure(canvas, make("figcaption", {}, "the picture"));
  });
  const scale = make("div", { class: "scale" }, ...[-data.limit, 0, data.limit].map((end) =>
    make("span", {}, `${number(end)} logits`)));
  scale.style.setProperty("--colours", COLOURS.map((rgb) => `rgb(${rgb})`));
  const readout = make("output");
  const bars = make("ul", { class: "bars", "aria-label": "Logit and probability of each class" });
  const faces = make("div", { class: "panels" }, ...pictures,
    ...panels.map(({ canvas, caption }) => figure(canvas, caption)));
  root.replaceChildren(make("p", { class: "title" }, data.title), controls,
    make("div", {}, faces, scale), make("div", { class: "side" }, bars, readout));

  const draw = () => {
    const now = stateAt(data, model.get("weight"));
    slider.value = Math.round(STEPS * (now.weight - low) / (high - low));
    value.textContent = number(now.weight);
    slider.setAttribute("aria-valuetext", number(now.weight));
    panels.forEach(({ canvas, caption }, i) => {
      const [name, map] = [data.names[i], now.maps[i]];
      const ends = [Math.min(...map), Math.max(...map)].map(number);
      paint(canvas, data, map);
      canvas.setAttribute("aria-label", `map of ${name}, ${ends.join(" to ")} logits`);
      caption.replaceChildren(make("b", {}, name), make("br"),
        account(data, data.classes[i], map, now.logits));
    });
    bars.replaceChildren(...data.classNames.map((name, k) => make("li",
      { style: `--share:${now.probabilities[k]};--colour:rgb(${data.classColours[k]})` },
      make("span", {}, name), " ", make("span", {}, `logit ${fixed(now.logits[k], 2)}`), " ",
      make("b", {}, `${fixed(100 * now.probabilities[k], 1)} %`), make("i"))));
    readout.textContent = changes(data, first, now);
  };
  model.on("change", draw);
  draw();
  root.dataset.ready = "yes";
  return () => model.off("change", draw);
}
