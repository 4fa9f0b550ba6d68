// Passkeys: log in, reauthenticate, or add one. Without this script, the pages work with the password.

const box = document.getElementById("passkeys");
const { mode, action } = box.dataset;
const CHALLENGE_MILLISECONDS = 4 * 60_000; // a challenge is valid for five minutes
let request = new AbortController(); // of the current request: a browser allows one at a time
let isPressed = false; // true while a request of the button runs
let renewOn = 0; // when autofill needs a new challenge

class Refusal extends Error {}

const post = async (url, body) => {
  const headers = { "Content-Type": "application/json", Accept: "application/json" };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  // The session has expired or is not fresh, or another user has logged in.
  if (response.status === 401 && mode !== "login") location.reload();
  const result = await response.json();
  if (!response.ok) throw Object.assign(new Refusal(result.error.message), { code: result.error.code });
  return result;
};

// Abort the current request, and return the signal of the next one.
const restart = () => {
  request.abort();
  request = new AbortController();
  return request.signal;
};

const send = async (credential, more) => {
  try {
    const { next } = await post(action, { ...more, credential: credential.toJSON() });
    location.assign(next);
  } catch (error) {
    // This stops the password manager from offering a passkey that was removed from the account.
    const unknown = { rpId: location.hostname, credentialId: credential.id };
    if (error.code === "unknown_passkey") PublicKeyCredential.signalUnknownCredential?.(unknown).catch(() => {});
    throw Object.assign(error, { wasSent: true });
  }
};

const use = async (mediation) => {
  const signal = restart();
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(await post(`${action}/options`));
  if (signal.aborted) return;
  const credential = await navigator.credentials.get({ publicKey, mediation, signal });
  const remember = document.getElementById("remember")?.checked;
  await send(credential, { remember, next: document.querySelector("input[name=next]")?.value });
};

const add = async () => {
  const signal = restart();
  const { owner } = Object.fromEntries(new FormData(box.querySelector("form")));
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(await post(`${action}/options`, { owner }));
  const credential = await navigator.credentials.create({ publicKey, signal });
  await send(credential, { name: document.getElementById("name").value });
};

const show = (text) => {
  const message = box.querySelector("[role=alert]");
  message.textContent = text;
  message.hidden = !text;
};
const explain = (error) => {
  const texts = { NotAllowedError: box.dataset.cancelled, InvalidStateError: box.dataset.known };
  show(error instanceof Refusal ? error.message : (texts[error.name] ?? box.dataset.failed));
};

// Offer passkeys where the browser fills in the e-mail address.
const autofill = () => {
  renewOn = Date.now() + CHALLENGE_MILLISECONDS;
  use("conditional").catch((error) => {
    if (error.name === "AbortError") return; // another request has begun
    renewOn = 0;
    if (!error.wasSent) return;
    explain(error);
    autofill();
  });
};
const renew = () => {
  if (!document.hidden && !isPressed && Date.now() > renewOn) autofill();
};
const startAutofill = async () => {
  if (!(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
  document.getElementById("email").autocomplete = "username webauthn";
  document.addEventListener("visibilitychange", renew);
  setInterval(renew, 60_000);
  autofill();
};

const start = async (event) => {
  event.preventDefault();
  event.stopPropagation(); // main.js would block a second submission
  if (isPressed) return;
  isPressed = true;
  show("");
  try {
    await (mode === "registration" ? add() : use());
  } catch (error) {
    explain(error);
    if (mode === "login") autofill();
  }
  isPressed = false;
};

const prepare = async () => {
  const form = box.querySelector("form"), button = box.querySelector("button");
  (form ?? button).addEventListener(form ? "submit" : "click", start);
  if (mode === "reauthentication" && !(await post(`${action}/options`)).allowCredentials) return; // the user has none
  document.getElementById("without-passkeys")?.remove();
  box.hidden = false;
  box.classList.remove("reserved");
  if (mode === "login") await startAutofill();
};

if (window.PublicKeyCredential?.parseRequestOptionsFromJSON) prepare().catch(() => {});
