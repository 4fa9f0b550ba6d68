// The front page: its button answers in the page.
document.getElementById("home-page-cta").addEventListener("click", () => {
  document.getElementById("home-page-answer").textContent = "Hello! home.js was loaded, and it heard you.";
});
