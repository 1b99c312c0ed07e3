// Tells those who do not see the page what stands below the answer that they chose.
document.addEventListener("change", ({ target }) => {
  const question = target.closest(".quiz fieldset");
  if (!question) return;
  const why = target.parentElement.querySelector(".why");
  question.querySelector(".said").textContent = why.textContent;
});
