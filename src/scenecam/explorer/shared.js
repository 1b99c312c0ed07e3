// What all widgets have in common. Before the script of each kind, which defines its KIND, how to
// `unpack` what Python sends, and how to `build` the widget from it. In Jupyter anywidget calls
// `render` with a model that is tied to Python, in a built page standin.js does with another.

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  element.dataset.lmSuppressShortcuts = ""; // JupyterLab must not take the keys pressed here
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const number = (value) => String(value % 1 ? +value.toPrecision(3) : value).replace("-", "\u2212");
const largest = (row) => row.indexOf(Math.max(...row));
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function render({ model, el }) {
  el.classList.add("scenecam");
  el.dataset.kind = KIND;
  let clear = () => {};
  const receive = async (...sent) => {
    const data = await unpack(...sent);
    clear();
    clear = build(el, data, model);
  };
  model.on("msg:custom", receive);
  model.send({ ask: "maps" });
  return () => { clear(); model.off("msg:custom", receive); };
}

export default { render };
