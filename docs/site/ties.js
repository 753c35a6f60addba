// A line of backward and the lines of forward that it belongs to light up together, for the mouse and for the keyboard.
document.addEventListener("DOMContentLoaded", () => {
  for (const pair of document.querySelectorAll(".pair")) {
    const tied = [...pair.querySelectorAll("[data-ties]")];
    const numbersOf = (line) => line.dataset.ties.split(" ");
    const partners = (line) => {
      if (line.dataset.ties) return [line, ...numbersOf(line).map((n) => pair.querySelector(`#forward-${n}`))];
      const found = tied.filter((other) => line.dataset.n && numbersOf(other).includes(line.dataset.n));
      return found.length ? [line, ...found] : [];
    };
    const show = (event) => {
      for (const line of pair.querySelectorAll(".tied")) line.classList.remove("tied");
      const line = event.target.closest?.(".line");
      if (line) for (const partner of partners(line)) partner.classList.add("tied");
    };
    for (const kind of ["mouseover", "mouseleave", "focusin", "focusout"]) pair.addEventListener(kind, show);
  }
});
