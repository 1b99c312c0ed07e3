// Tells those who do not see the page what stands below the answer that they chose.
document.addEventListener("change", ({ target }) => {
  const question = target.closest(".quiz fieldset");
  if (!question) return;
  const why = target.parentElement.querySelector(".why");
  question.querySelector(".said").textContent = why.textContent;
});

// A table that is wider than the page scrolls in a box, by the keys of arrows, too.
const reachable = () => {
  const boxes = ".bd-content :is(table, .pst-scrollable-table-container)";
  for (const box of document.querySelectorAll(boxes)) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
};
addEventListener("load", reachable);
addEventListener("resize", reachable);
