// Hears of new snapshots (`/live`) and tells the page: parts with hx-trigger="moved from:body" ask for themselves anew.
"use strict";
(() => {
  const body = document.body;
  if (!body.dataset.live) return;
  const source = new EventSource(body.dataset.live);
  source.addEventListener("moved", (event) => {
    if (event.data === body.dataset.snapshot) return;
    body.dataset.snapshot = event.data;
    body.dispatchEvent(new CustomEvent("moved"));
  });
  source.addEventListener("error", () => body.classList.add("is-cut-off"));
  source.addEventListener("open", () => body.classList.remove("is-cut-off"));

  // A part that asks for itself anew stays as the person left it: what was typed is not thrown away (the page says that it is old instead), what was
  // opened stays open, and the focus stays where it was. It waits while a key or a button of the mouse is down: what was pressed must be there when it is let go.
  const isTyped = (field) => {
    if (field.type === "hidden" || field.type === "submit") return false;
    if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
    if (field.tagName === "SELECT") return field.selectedIndex !== Math.max(0, [...field.options].findIndex((one) => one.defaultSelected));
    return field.value !== field.defaultValue;
  };
  const name = (element) => [element.tagName, element.name || "", element.getAttribute("href") || "", element.name ? "" : element.textContent.trim()].join("|");
  const within = (part, wanted, what) => [...part.querySelectorAll(what)].filter((one) => name(one) === wanted);
  const FOCUSABLE = "a[href], button, input, select, textarea, summary";
  // A request that was under way when the typing began is held back when its answer comes, too; so is one that would take a passkey's button away while it works.
  const isInUse = (part) => [...part.querySelectorAll("input, select, textarea")].some(isTyped) || part.querySelector("button[data-passkey]:disabled") !== null;
  // The two ways in which a part asks for itself: new facts were heard of, and the time that work is asked after. A search asks for another part.
  const ASKS_FOR_ITSELF = ["moved", "hx:poll:trigger"];
  const trigger = (event) => event.detail.requestConfig.triggeringEvent?.type;
  let kept = null;
  let isPressed = false;
  let isOwed = false;
  for (const down of ["pointerdown", "keydown"]) document.addEventListener(down, () => (isPressed = true), true);
  const release = () => {
    isPressed = false;
    if (isOwed) setTimeout(() => body.dispatchEvent(new CustomEvent("moved"))); // after the click that the release makes
    isOwed = false;
  };
  for (const up of ["pointerup", "pointercancel", "keyup"]) document.addEventListener(up, release, true);
  window.addEventListener("blur", release);
  body.addEventListener("htmx:beforeRequest", (event) => {
    if (trigger(event) !== "moved" || !isInUse(event.detail.elt)) return;
    event.preventDefault();
    body.classList.add("is-behind");
  });
  body.addEventListener("htmx:beforeSwap", (event) => {
    const part = event.detail.target;
    if (!part || !ASKS_FOR_ITSELF.includes(trigger(event))) return;
    if (isPressed || isInUse(part)) {
      event.detail.shouldSwap = false;
      if (isPressed) isOwed = true;
      else body.classList.add("is-behind");
      return;
    }
    const focused = part.contains(document.activeElement) ? document.activeElement : null;
    const focus = focused && name(focused);
    const summaries = [...part.querySelectorAll("details")].map((one) => one.open);
    kept = { id: part.id, focus, place: focus ? within(part, focus, FOCUSABLE).indexOf(focused) : 0, summaries };
  });
  body.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.xhr.status === 204) body.classList.add("is-behind"); // what the part showed is gone
  });
  // In the same moment as the swap: a key that is pressed before the page has settled must find the focus.
  body.addEventListener("htmx:afterSwap", () => {
    const part = kept && document.getElementById(kept.id);
    if (!part) return;
    const details = [...part.querySelectorAll("details")];
    if (details.length === kept.summaries.length) details.forEach((one, at) => (one.open = kept.summaries[at]));
    if (kept.focus) within(part, kept.focus, FOCUSABLE)[kept.place]?.focus();
    kept = null;
  });
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-sends-itself]");
    if (form) form.requestSubmit();
  });
})();
