// The front page: its button answers in the page.
document.getElementById("home-page-cta").addEventListener("click", () => {
  const answer = document.getElementById("home-page-answer");
  answer.textContent = answer.dataset.answer;
});
