"use strict";
// Hides whatever carries the tag of a box that isn't checked; a reload finds the boxes as they were.
(() => {
  const bar = document.getElementById("filters");
  if (!bar) return;
  const boxes = [...bar.querySelectorAll("input")];
  const tagged = [...document.querySelectorAll("[data-in]")].map((thing) => [thing, thing.dataset.in.split(" ")]);
  const holders = [...document.querySelectorAll("[data-holds]")].reverse(); // inner ones first
  const cells = bar.dataset.cells.split(";").map((tags) => tags.split(" "));
  const arms = boxes.filter((box) => box.name === "arm");
  const key = `skiplab filters ${location.pathname}`;
  const nameOf = (box) => `${box.name}=${box.dataset.level}`;

  const remember = (names) => {
    try {
      sessionStorage.setItem(key, JSON.stringify(names));
    } catch {} // a browser that keeps nothing
  };
  const remembered = () => {
    try {
      return JSON.parse(sessionStorage.getItem(key)) ?? [];
    } catch {
      return [];
    }
  };

  const apply = () => {
    const off = new Set(boxes.filter((box) => !box.checked).map((box) => box.value));
    const isOff = (tags) => tags.some((tag) => off.has(tag));
    for (const [thing, tags] of tagged) thing.classList.toggle("off", isOff(tags));
    for (const holder of holders) {
      const held = holder.dataset.holds;
      const empty = holder.querySelector(held) && !holder.querySelector(`:is(${held}):not(.off)`);
      holder.classList.toggle("off", Boolean(empty) || isOff(holder.dataset.in?.split(" ") ?? []));
    }
    const shown = `${cells.filter((tags) => !isOff(tags)).length} of ${cells.length} cells`;
    const shownArms = arms.length ? `, ${arms.filter((box) => box.checked).length} of ${arms.length} arms` : "";
    document.getElementById("shown").textContent =
      `${shown}${shownArms} shown${off.size ? "; headlines of verdicts count all" : ""}`;
    remember(boxes.filter((box) => !box.checked).map(nameOf));
  };

  const hidden = new Set(remembered());
  for (const box of boxes) box.checked = !hidden.has(nameOf(box));
  bar.addEventListener("change", apply);
  document.getElementById("show-all").addEventListener("click", () => {
    for (const box of boxes) box.checked = true;
    apply();
  });
  bar.hidden = false;
  // what a link leads to isn't covered by the bar
  new ResizeObserver(() => {
    document.documentElement.style.scrollPaddingTop = `${bar.offsetHeight + 12}px`;
  }).observe(bar);
  apply();
})();
