// What axe does not look at, or not as closely. Each function returns what is wrong, in lines.
// Evaluated in the page by accessibility.py, which the Content-Security-Policy does not hold off.
window.pageChecks = (() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const words = (element) => (element.getAttribute("aria-label") || element.textContent).trim().replace(/\s+/g, " ");
  const named = (element) => {
    if (element === document.body) return "the body";
    return element.localName + (element.id ? `#${element.id}` : ` "${words(element).slice(0, 40)}"`);
  };
  const isShown = (element) =>
    element.getClientRects().length > 0 && getComputedStyle(element).visibility === "visible";

  const structure = () => {
    const problems = [];
    const headings = all("h1").length;
    if (headings !== 1) problems.push(`${headings} h1`);
    if (!document.title.trim()) problems.push("no title");
    if (!document.documentElement.lang) problems.push("no lang");
    const ids = all("[id]").map((element) => element.id);
    for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at))) problems.push(`two elements are #${id}`);
    const fields = all("input:not([type=hidden], [hidden]), select, textarea");
    const hasLabel = (field) => [...field.labels].some((label) => label.textContent.trim());
    for (const field of fields) if (!hasLabel(field)) problems.push(`${named(field)} has no label`);
    return problems;
  };

  const described = (field) => (field.getAttribute("aria-describedby") || "").split(/\s+/).filter(Boolean);

  const wrongFields = () => all("[aria-invalid=true]");

  const errors = () => {
    const problems = [];
    const wrong = wrongFields();
    for (const field of all("[aria-describedby]"))
      for (const id of described(field))
        if (!document.getElementById(id)?.textContent.trim()) problems.push(`${named(field)} is described by no #${id}`);
    for (const field of wrong)
      if (!described(field).some((id) => id.endsWith("-error"))) problems.push(`${named(field)} does not say what is wrong`);
    for (const text of all(".error, [id$='-error']"))
      if (!wrong.some((field) => described(field).includes(text.id)))
        problems.push(`"${text.textContent.trim()}" is tied to no field that is aria-invalid`);
    return problems;
  };

  const refusal = () => {
    const problems = [];
    const [first] = wrongFields();
    if (!first) problems.push("no field is aria-invalid");
    else if (document.activeElement !== first)
      problems.push(`the focus is on ${named(document.activeElement)}, not on ${named(first)}`);
    if (!document.title.startsWith("Error: ")) problems.push(`the title is "${document.title}"`);
    return problems;
  };

  // How far the page is wider than its window, and what sticks out.
  const width = () => {
    const room = document.documentElement.clientWidth;
    const wide = document.documentElement.scrollWidth - room;
    if (wide <= 0) return [];
    const out = all("body *").filter((element) => element.getBoundingClientRect().right > room + 0.5);
    return [`${wide} px wider than its window: ${out.slice(-3).map(named).join(", ")}`];
  };

  // What carries text, or takes input, and can be seen.
  const shown = () =>
    all("body *").filter((element) => {
      const hasText = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
      const counts = hasText || element.matches("input, select, textarea, button, a[href], img, svg");
      return counts && isShown(element) && Number(getComputedStyle(element).opacity) > 0;
    }).map(named);

  // Bring what moves to its end, so that colours are the final ones.
  const settle = () => document.getAnimations()
    .filter((one) => one.effect.getComputedTiming().endTime < Infinity)
    .forEach((one) => one.finish());

  const reachable = () =>
    all("a[href], button, input, select, textarea, summary, [tabindex]").filter(
      (element) => !element.disabled && element.type !== "hidden" && element.tabIndex >= 0 && isShown(element),
    );

  // What marks the focus. What is drawn in no colour is not seen, except where the browser chooses the colours.
  const look = (element) => {
    const { outlineStyle, outlineWidth, outlineColor, boxShadow } = getComputedStyle(element);
    const forced = matchMedia("(forced-colors: active)").matches;
    const drawn = (colour) => forced || !/rgba\([^)]*, 0\)/.test(colour);
    const outlined = outlineStyle !== "none" && outlineWidth !== "0px" && drawn(outlineColor);
    const shadows = boxShadow.split(/,(?![^(]*\))/).filter((shadow) => shadow !== "none" && drawn(shadow));
    return [...(outlined ? [`outline ${outlineStyle} ${outlineWidth} ${outlineColor}`] : []), ...shadows].join(" and ");
  };

  // Go back to the top of the page, and remember how everything looks without the focus.
  let looksBefore = new Map();
  const rewind = () => {
    const top = document.createElement("span");
    top.tabIndex = -1;
    document.body.prepend(top);
    top.focus();
    top.remove();
    looksBefore = new Map(reachable().map((element) => [element, look(element)]));
    return reachable().map(named);
  };

  const isOnTop = (element) => {
    const [box] = element.getClientRects();
    // A browser scrolls only the first lines of a textarea into the window.
    const [top, bottom] = [Math.max(box.top, 0), Math.min(box.bottom, innerHeight)];
    if (bottom - top < Math.min(box.height, 24)) return false;
    const found = document.elementFromPoint(box.left + box.width / 2, (top + bottom) / 2);
    return Boolean(found) && (element.contains(found) || found.contains(element));
  };

  // Whether the focus shows on an element that has it, and whether that lies in the window and under nothing else.
  const stop = (element) => {
    settle();
    const seen = isShown(element) && isOnTop(element);
    const marked = look(element) !== looksBefore.get(element);
    return { name: named(element), marked, seen, look: look(element), in_main: Boolean(element.closest("main")) };
  };

  const focused = () => {
    const element = document.activeElement;
    return element && element !== document.body ? stop(element) : null;
  };

  // The field for a date that has the focus. The Tab key reaches its parts one after the other.
  const dateInFocus = () => {
    const element = document.activeElement;
    return element && element.matches("[type=date], [type=datetime-local]") ? named(element) : null;
  };

  // Give the focus to one element after the other. After a key was pressed it shows as it does for the keyboard.
  const each = () => {
    rewind();
    const stops = [];
    for (const element of reachable()) {
      element.focus();
      stops.push(stop(element));
    }
    return stops;
  };

  return { structure, errors, refusal, width, shown, settle, rewind, focused, dateInFocus, each };
})();
