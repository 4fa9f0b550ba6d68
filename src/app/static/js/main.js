// Loaded on every page. Everything works without it.

// From the next page on, times stand on the clock of whoever is logged in: middleware/languages.py.
if (document.body.classList.contains("person")) {
  const [prefix, secure] = location.protocol === "https:" ? ["__Host-", "; secure"] : ["", ""];
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  document.cookie = `${prefix}timezone=${timeZone}; path=/; max-age=15552000; samesite=lax${secure}`;
}

// A form is sent once, however often its button is pressed.
const letGo = (form) => {
  delete form.dataset.sent;
  form.querySelector("[aria-busy]")?.removeAttribute("aria-busy");
};
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  event.submitter?.setAttribute("aria-busy", "true");
  setTimeout(letGo, 10_000, form); // somebody may have stopped the page from loading
});
addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach(letGo)); // the back button

// The button in a password's field shows what was typed. When it is sent it is a password again, for the browser to save.
document.querySelectorAll(".reveal").forEach((button) => {
  const field = document.getElementById(button.getAttribute("aria-controls"));
  const word = button.querySelector("span");
  const show = (shown) => {
    if (shown === (field.type === "text")) return;
    field.type = shown ? "text" : "password";
    [word.textContent, button.dataset.other] = [button.dataset.other, word.textContent];
  };
  button.addEventListener("click", () => show(field.type === "password"));
  field.form.addEventListener("submit", () => show(false));
  button.hidden = false;
});

// Screen readers announce what changes, not what the page came with.
document.querySelectorAll("[role=status]").forEach((message) => {
  setTimeout(() => message.replaceChildren(...message.childNodes), 200);
});
