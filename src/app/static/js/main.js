// Loaded on every page. The site also works without JavaScript.

// Send the time zone of a logged-in user in a cookie. From the next page on, the server uses it for times:
// lib/i18n/negotiation.py.
if (document.body.classList.contains("logged-in")) {
  const [prefix, secure] = location.protocol === "https:" ? ["__Host-", "; secure"] : ["", ""];
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  document.cookie = `${prefix}timezone=${timeZone}; path=/; max-age=15552000; samesite=lax${secure}`;
}

// Send a form once, even if the user presses its button several times.
const allowResubmission = (form) => {
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
  setTimeout(allowResubmission, 10_000, form); // the user may have stopped the request
});
// The Back button may restore a page whose form was sent.
addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach(allowResubmission));

// The button in a password field shows or hides the password. On submit the type is "password" again, because browsers
// offer to save only such fields.
document.querySelectorAll(".reveal").forEach((button) => {
  const field = document.getElementById(button.getAttribute("aria-controls"));
  const label = button.querySelector("span");
  const show = (shown) => {
    if (shown === (field.type === "text")) return;
    field.type = shown ? "text" : "password";
    [label.textContent, button.dataset.other] = [button.dataset.other, label.textContent];
  };
  button.addEventListener("click", () => show(field.type === "password"));
  field.form.addEventListener("submit", () => show(false));
  button.hidden = false;
});

// Screen readers announce only changes of a status message. So insert each message of the page again.
document.querySelectorAll("[role=status]").forEach((message) => {
  setTimeout(() => message.replaceChildren(...message.childNodes), 200);
});
