// The numbers under the pointer. Without this the page lacks nothing else: each chart has a table of its numbers.
for (const svg of document.querySelectorAll("svg[data-lines]")) {
  const lines = JSON.parse(svg.dataset.lines);
  const cursor = svg.querySelector(".cursor");
  const readout = svg.parentElement.querySelector(".readout");
  const text = (number) => number === null ? "none" : number.toLocaleString("en", { maximumSignificantDigits: 5 });
  const nearest = (places, x) => places.reduce((best, place, i) => Math.abs(place - x) < Math.abs(places[best] - x) ? i : best, 0);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
    const first = nearest(lines[0][1], x);
    cursor.setAttribute("d", `M${lines[0][1][first]} 12V196`);
    const values = lines.map(([name, places, , numbers]) =>
      (lines.length > 1 ? name + " " : "") + text(numbers[nearest(places, lines[0][1][first])]));
    readout.textContent = `step ${text(lines[0][2][first])}: ${values.join(", ")}`;
  });
  svg.addEventListener("pointerleave", () => { cursor.setAttribute("d", ""); readout.textContent = ""; });
}
