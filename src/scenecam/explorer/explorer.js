// Maps over pictures, every state computed beforehand. Python sends numbers; here they become
// pixels by the steps of images.unit_map, upsample_map and overlay. It stands after shared.js.

const KIND = "explorer";
const VIEWS = { overlay: "overlay", map: "map", picture: "picture", mask: "true mask" };
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const PERCENTS = Array.from({ length: 101 }, (_, i) => `${i} %`);

const css = (colour) => `rgb(${[0, 8, 16].map((bits) => (colour >> bits) & 255)})`;
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1).replaceAll("_", " ");

async function unpack(header, [bulk, ...files]) {
  const packed = new Blob([bulk]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = await new Response(packed).arrayBuffer();
  let at = 0;
  const take = (Type, count) => // a copy of the bytes, so that they are aligned
    new Type(bytes.slice(at, at += count * Type.BYTES_PER_ELEMENT));
  const [height, width] = header.size;
  const [classTable, ...tables] = ["", ...header.colormaps].map(() => take(Uint32Array, 256));
  const Steps = header.exact ? Float32Array : Int8Array;
  const grids = header.grids.map(([count, h, w]) => ({ h, w, top: take(Float32Array, count),
    bottom: take(Float32Array, count), steps: take(Steps, count * h * w) }));
  const masks = header.masks && files.map(() => take(Uint8Array, height * width));
  const pictures = await Promise.all(files.map((file) =>
    createImageBitmap(new Blob([file]), { colorSpaceConversion: "none" })));
  const scratch = make("canvas", { width, height });
  return { ...header, width, height, tables, classTable, grids, masks, pictures, scratch };
}

// Values of one map in its unit, and where they are largest.
function readMap(data, choice) {
  const { h, w, top, bottom, steps } = data.grids[data.layered ? choice.layer : 0];
  let index = 0;
  for (const name of data.axes) index = index * data.controls[name].length + choice[name];
  const values = new Float32Array(steps.subarray(index * h * w, (index + 1) * h * w));
  const [up, down] = data.exact ? [1, 1] : [top[index] / data.above, bottom[index] / data.below];
  values.forEach((step, i) => { values[i] = step * (step > 0 ? up : down); });
  const sizes = data.signed ? values.map(Math.abs) : values;
  const peak = largest(sizes);
  return { h, w, values, peak, limit: Math.max(0, sizes[peak]) };
}

// Resizes rows of values and turns them into columns, so that twice resizes a map. Pixel
// centres lie at halves, and the edge continues outwards.
function stretch(values, rows, source, target, smooth) {
  const result = new Float32Array(rows * target);
  for (let i = 0; i < target; i++) {
    const centre = ((i + 0.5) * source) / target - 0.5;
    const left = smooth ? Math.floor(centre) : Math.round(centre);
    const [a, b] = [left, left + 1].map((place) => clamp(place, 0, source - 1));
    const share = smooth ? centre - left : 0;
    for (let r = 0; r < rows; r++)
      result[i * rows + r] = values[r * source + a] * (1 - share) + values[r * source + b] * share;
  }
  return result;
}

const upsample = (values, { h, w }, { height, width, smooth }) =>
  stretch(stretch(values, h, w, width, smooth), width, h, height, smooth);

// `limit` is the value that gets the last colour of the table.
function paint(canvas, data, { choice, map }, { view, opacity, table, limit }) {
  const context = canvas.getContext("2d");
  const picture = data.pictures[choice.picture];
  if (picture) context.drawImage(picture, 0, 0);
  if (view === "picture") return;
  const units = map.values.map((value) => {
    const unit = limit > 0 ? clamp(value / limit, data.signed ? -1 : 0, 1) : 0;
    return data.signed ? 0.5 + 0.5 * unit : unit;
  });
  const [colours, places] = view === "mask" ? [data.classTable, data.masks[choice.picture]]
    : [table, upsample(units, map, data).map((unit) => Math.min(255, Math.floor(unit * 256)))];
  const layer = new ImageData(data.width, data.height);
  new Uint32Array(layer.data.buffer).set(Array.from(places, (place) => colours[place]));
  data.scratch.getContext("2d").putImageData(layer, 0, 0);
  context.globalAlpha = view === "overlay" && picture ? opacity : 1;
  context.drawImage(data.scratch, 0, 0);
  context.globalAlpha = 1;
}

// A map of few cells as a table with its numbers, such as a confusion matrix.
function tabulate(face, { numbers: [rows, columns] }, { map: { values, w } }, { limit }) {
  const head = (scope) => (name) => make("th", { scope }, make("span", {}, name));
  const cells = Array.from(values, (value) =>
    make("td", { style: `--share:${limit && value / limit}` }, number(value)));
  const lines = rows.map((name, y) => [head("row")(name), ...cells.slice(y * w, y * w + w)]);
  lines.unshift([make("td"), ...columns.map(head("col"))]);
  face.replaceChildren(...lines.map((line) => make("tr", {}, ...line)));
}

function nameOf(data, choice) {
  const names = Object.keys(data.controls).filter((name) => name !== "picture");
  return names.map((name) => data.controls[name][choice[name]]).join(", ");
}

// What a canvas shows, for those who do not see it.
function describe(data, { choice, map: { h, w, values, peak, limit } }, view) {
  const what = data.controls.picture ? `, picture ${data.controls.picture[choice.picture]}` : "";
  if (view === "picture" || view === "mask") return capital(VIEWS[view]) + what;
  const name = nameOf(data, choice) + what;
  if (data.numbers) return name;
  const row = ["upper ", "", "lower "][Math.floor(3 * (Math.floor(peak / w) + 0.5) / h)];
  const column = ["left", "", "right"][Math.floor(3 * ((peak % w) + 0.5) / w)];
  const place = (row + column).trim() || "centre";
  return limit > 0 ? `${name}: strongest at the ${place}, ${number(values[peak])} ${data.unit}`
    : `${name}: nothing positive anywhere`;
}

// A native control with a name, driven by an index into labels; `show` brings it up to date.
function field(kind, name, text, labels, index, pick, faces) {
  const group = `scenecam-${name}-${Math.random()}`;
  const input = kind === "range" ? make("input", { type: kind, min: 0, "aria-label": text })
    : make(kind === "radio" ? "div" : "select");
  const value = make("b", { "aria-hidden": true });
  const thumb = (i) => {
    const canvas = make("canvas", { width: faces[i].width, height: faces[i].height });
    canvas.getContext("2d").drawImage(faces[i], 0, 0);
    return canvas;
  };
  const option = (label, i) => kind === "select" ? make("option", { value: i }, label)
    : make("label", {}, make("input", { type: "radio", name: group, value: i }), thumb(i), label);
  const box = kind === "radio" ? make("fieldset", {}, make("legend", {}, text), input)
    : make("label", {}, make("span", {}, text, value), input);
  box.dataset.control = name;
  box.addEventListener("input", (event) => pick(Number(event.target.value)));
  const show = () => {
    const [all, i] = [labels(), index()];
    box.hidden = all.length < 2;
    if (kind === "range") {
      input.max = all.length - 1;
      input.setAttribute("aria-valuetext", value.textContent = all[i] ?? "");
    } else if (all.join() !== box.dataset.labels) input.replaceChildren(...all.map(option));
    box.dataset.labels = all.join();
    if (kind === "radio") input.children[i].firstChild.checked = true;
    else input.value = i;
  };
  return { box, show };
}

// Steps through a slider; readers who want no motion get one step for each press.
function player(name, step) {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const words = still ? `Next ${name}` : `Play through the ${name}s`;
  const button = make("button", { type: "button", "data-control": `play-${name}` }, words);
  let timer;
  button.onclick = () => {
    timer = timer ? clearInterval(timer) : still ? null
      : setInterval(() => button.isConnected ? step() : clearInterval(timer), 900);
    if (timer || still) step();
    button.textContent = timer ? "Stop" : words;
  };
  return button;
}

function build(root, data, model) {
  const get = (trait) => model.get(trait);
  const set = (changes) => {
    for (const trait in changes) model.set(trait, changes[trait]);
    model.save_changes();
  };
  const place = (name) => get("choice")[name];
  const row = () => data.probabilities?.[place("picture")];
  const percent = (k) => PERCENTS[Math.round(100 * row()[k])];
  const labelsOf = (name) => name !== "class" || !row() ? data.controls[name]
    : data.controls.class.map((label, k) => `${label} ${percent(k)}`);
  const pick = (name, index) => {
    const choice = { ...get("choice"), [name]: index };
    // Whoever looks at the predicted class goes on looking at the predicted class.
    if (name === "picture" && row() && choice.class === largest(row()))
      choice.class = largest(data.probabilities[index]);
    set({ choice });
  };
  const [strip, controls] = ["strip", "controls"].map((name) => make("div", { class: name }));
  const [fields, modes] = [[], ["nothing", ...data.comparable]];
  const add = (kind, ...rest) => {
    fields.push(field(kind, ...rest));
    (kind === "radio" ? strip : controls).append(fields.at(-1).box);
  };
  for (const [name, labels] of Object.entries(data.controls)) {
    const kind = data.sliders.includes(name) ? "range"
      : name === "picture" && data.pictures.length ? "radio" : "select";
    const choose = (i) => pick(name, i);
    add(kind, name, capital(name), () => labelsOf(name), () => place(name), choose, data.pictures);
    if (kind === "range" && labels.length > 1) controls.append(
      player(name, () => choose((place(name) + 1) % labels.length)));
  }
  const word = (trait, text, keys, labels = keys) => add("select", trait, text, () => labels,
    () => keys.indexOf(get(trait)), (i) => set({ [trait]: keys[i] }));
  word("view", "View", data.views, data.views.map((view) => VIEWS[view]));
  add("range", "opacity", "Opacity", () => get("view") === "overlay" ? PERCENTS : [],
    () => Math.round(100 * get("opacity")), (i) => set({ opacity: i / 100 }));
  word("colormap", "Colours", data.numbers ? [] : data.colormaps);
  add("select", "compare", "Side by side", () => modes, () => modes.indexOf(get("compare")),
    (i) => { // of the classes begin with the most probable other one
      const rest = modes[i] === "class" && row()?.map((p, k) => k === place("class") ? -1 : p);
      set({ other: rest ? largest(rest) : place(modes[i]) === 0 ? 1 : 0, compare: modes[i] });
    });
  const others = () => get("compare") === "nothing" ? [] : labelsOf(get("compare"));
  const other = () => Math.min(get("other"), others().length - 1);
  add("select", "other", "The other", others, other, (i) => set({ other: i }));

  // Panels: the canvas holds exactly the picture's pixels and is enlarged by the style.
  const panels = [0, 1].map(() => {
    const face = data.numbers ? make("table", { tabindex: 0 })
      : make("canvas", { width: data.width, height: data.height, role: "img", tabindex: 0 });
    const caption = make("figcaption", { "aria-live": "polite" });
    return { face, caption, box: make("figure", {}, make("div", {}, face), caption) };
  });
  const bars = make("ul", { class: "bars", "aria-label": "Probability of each class" });
  const [note, readout, scale] = [make("pre"), make("output"), make("div", { class: "scale" })];
  const faces = make("div", { class: "panels" }, ...panels.map(({ box }) => box));
  root.replaceChildren(make("p", { class: "title" }, data.title), strip,
    make("div", {}, faces, scale, readout, note), make("div", { class: "side" }, controls, bars));
  let [probe, state] = [null, []]; // the probe: a place, in shares of width and height, or none
  const read = (at) => {
    probe = at && { x: clamp(at.x, 0, 0.9999), y: clamp(at.y, 0, 0.9999) };
    const style = probe ? `--x:${probe.x};--y:${probe.y};--probe:1` : "";
    for (const { box } of panels) box.style.cssText = style;
    if (!probe) return void (readout.textContent = get("message"));
    const [x, y] = [Math.floor(probe.x * data.width), Math.floor(probe.y * data.height)];
    const cell = y * data.width + x;
    const values = state.map(({ map, choice }) =>
      `${nameOf(data, choice)}: ${number(upsample(map.values, map, data)[cell])} ${data.unit}`);
    const truth = data.classNames[data.masks?.[place("picture")][cell]] ?? "no class";
    readout.textContent = `${values.join("; ")}; column ${x}, row ${y}`
      + (data.masks ? `; truly ${truth}` : "");
  };
  for (const { face } of data.numbers ? [] : panels) {
    face.addEventListener("pointermove", ({ clientX, clientY }) => {
      const { left, top, width, height } = face.getBoundingClientRect();
      read({ x: (clientX - left) / width, y: (clientY - top) / height });
    });
    for (const end of ["pointerleave", "blur"]) face.addEventListener(end, () => read(null));
    face.addEventListener("keydown", (event) => { // one cell of the map for each press
      if (!ARROWS[event.key]) return;
      event.preventDefault();
      const [[across, down], { x, y }] = [ARROWS[event.key], probe ?? { x: 0.5, y: 0.5 }];
      read({ x: x + across / state[0].map.w, y: y + down / state[0].map.h });
    });
  }
  const draw = () => {
    const [choice, view, compare] = ["choice", "view", "compare"].map(get);
    if (data.controls.picture?.length <= choice.picture) return; // its maps are on their way
    for (const { show } of fields) show();
    const rest = compare === "nothing" ? [] : [{ ...choice, [compare]: other() }];
    state = [choice, ...rest].map((each) => ({ choice: each, map: readMap(data, each) }));
    const limit = Math.max(...state.map(({ map }) => map.limit)); // one scale for both
    const table = data.tables[data.colormaps.indexOf(get("colormap"))];
    const look = { view, opacity: get("opacity"), table, limit };
    panels[1].box.hidden = !state[1];
    state.forEach((one, i) => {
      const { face, caption } = panels[i];
      face.setAttribute("aria-label", caption.textContent = describe(data, one, view));
      for (const name in data.controls) face.dataset[name] = data.controls[name][one.choice[name]];
      (data.numbers ? tabulate : paint)(face, data, one, look);
    });
    scale.hidden = data.numbers || view === "picture" || view === "mask";
    scale.style.setProperty("--colours", [...table].map(css));
    scale.replaceChildren(...(data.signed ? [-limit, 0, limit] : [0, limit / 2, limit]).map(
      (value) => make("span", {}, `${number(value)} ${data.unit}`)));
    bars.replaceChildren(...(row() ?? []).map((share, k) => {
      const text = data.classNames[k] + (k === choice.class ? ", shown" : "")
        + (k === data.labels?.[choice.picture] ? ", true" : "");
      return make("li", { style: `--share:${share};--colour:${css(data.classTable[k])}` },
        make("span", {}, text), make("b", {}, percent(k)), make("i"));
    }));
    note.textContent = Object.entries(data.notes).map(([name, texts]) => texts[choice[name]]);
    read(probe);
  };
  model.on("change", draw);
  draw();
  root.dataset.ready = "yes";
  return () => model.off("change", draw);
}
