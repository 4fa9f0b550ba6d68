// The front page: the button shows a text beside it.
document.getElementById("home-page-cta").addEventListener("click", () => {
  const answer = document.getElementById("home-page-answer");
  answer.textContent = answer.dataset.answer;
});
