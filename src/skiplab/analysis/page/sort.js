"use strict";
// Sorts a table by the column whose heading is pressed, and the other way when it is pressed again.
(() => {
  const order = new Intl.Collator("en", { numeric: true });
  const keyOf = (cell) => cell.dataset.sort ?? cell.textContent;
  const compare = (one, other) => {
    const numbers = [Number(one), Number(other)];
    if (numbers.every((value) => !Number.isNaN(value))) return numbers[0] - numbers[1];
    return order.compare(one, other);
  };
  const isEmpty = (key) => key === "" || key === "nan" || key === "\u2013";

  const sort = (table, position, sign) => {
    const rows = [...table.tBodies[0].rows].map((row) => [keyOf(row.cells[position]), row]);
    // what has no value comes last either way
    rows.sort(([a], [b]) => isEmpty(a) - isEmpty(b) || sign * compare(a, b));
    table.tBodies[0].append(...rows.map(([, row]) => row));
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    const headings = [...table.tHead.rows[0].cells];
    for (const [position, heading] of headings.entries()) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const falls = heading.getAttribute("aria-sort") === "ascending";
        for (const other of headings) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", falls ? "descending" : "ascending");
        sort(table, position, falls ? -1 : 1);
      });
    }
  }
})();
