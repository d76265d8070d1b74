"use strict";
(() => {
  const drawing = JSON.parse(document.getElementById("drawing").textContent);
  const place = document.getElementById("view");
  let viewer = null;
  try {
    viewer = $3Dmol.createViewer(place, { backgroundColor: "white", backgroundAlpha: 0, antialias: true });
  } catch (error) { viewer = null; }
  if (!viewer) {
    place.textContent = "This browser has no WebGL, so the crystal is not drawn.";
    return;
  }

  const atoms = drawing.atoms.map(({ at: [x, y, z], orbit, element }, index) =>
    ({ elem: element, x, y, z, chain: String(orbit), serial: index, bonds: [], bondOrder: [] }));
  for (const [first, second] of drawing.bonds)
    for (const [one, other] of [[first, second], [second, first]]) {
      atoms[one].bonds.push(other);
      atoms[one].bondOrder.push(1);
    }
  viewer.addModel().addAtoms(atoms);
  const radii = new Map(drawing.atoms.map(atom => [atom.orbit, atom.radius]));
  const paint = chosen => {
    for (const [orbit, radius] of radii) {
      const shown = chosen === null || chosen === orbit;
      const color = shown ? drawing.colours[orbit % drawing.colours.length] : "#8a8f98";
      const share = shown ? 1 : 0.3;  // one model cannot have several opacities
      viewer.setStyle({ chain: String(orbit) },
        { sphere: { radius: 0.45 * share * radius, color }, stick: { radius: 0.09 * share, color } });
    }
    viewer.render();
  };

  const point = ([i, j, k]) => {
    const [x, y, z] = [0, 1, 2].map(n => i * drawing.cell[0][n] + j * drawing.cell[1][n] + k * drawing.cell[2][n]);
    return { x, y, z };
  };
  for (const corner of [[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1], [1, 0, 0], [1, 0, 1], [1, 1, 0], [1, 1, 1]])
    for (const axis of [0, 1, 2])
      if (!corner[axis]) {
        const end = corner.map((x, n) => n === axis ? 1 : x);
        viewer.addLine({ start: point(corner), end: point(end), color: "#8a8f98" });
      }
  ["a", "b", "c"].forEach((name, axis) => {
    const end = [0, 0, 0];
    end[axis] = 1.12;
    viewer.addLabel(name, { position: point(end), fontSize: 13, fontColor: "white", backgroundColor: "#5a626c",
      backgroundOpacity: 0.9, inFront: true, alignment: "center" });
  });

  // turns about axes of the screen, x to the right, y upwards, z to the reader; a quaternion is [x, y, z, w]
  const turned = ([x, y, z, w], [axis, degrees]) => {
    const half = degrees * Math.PI / 360, [s, c] = [Math.sin(half), Math.cos(half)];
    return axis === "x" ? [c * x + s * w, c * y - s * z, c * z + s * y, c * w - s * x]
      : [c * x + s * z, c * y + s * w, c * z - s * x, c * w - s * y];
  };
  const turnTo = quaternion => viewer.setView([...viewer.getView().slice(0, 4), ...quaternion]);
  const upright = ["x", -90];  // z points upwards
  const views = {
    general: [upright, ["y", -25], ["x", 15]],
    x: [upright, ["y", -90]],
    y: [upright, ["y", 180]],
    z: [],
  };
  const look = name => {
    turnTo(views[name].reduce(turned, [0, 0, 0, 1]));
    viewer.zoomTo();
    viewer.render();
  };
  let turning = false;
  document.querySelectorAll("[data-view]").forEach(button =>
    button.addEventListener("click", () => look(button.dataset.view)));
  document.getElementById("turn").addEventListener("click", event => {
    turning = !turning;
    viewer.spin(turning ? "z" : false);
    event.currentTarget.setAttribute("aria-pressed", String(turning));
  });
  let chosen = null;
  document.querySelectorAll("[data-orbit]").forEach(button =>
    button.addEventListener("click", () => {
      const orbit = Number(button.dataset.orbit);
      chosen = chosen === orbit ? null : orbit;
      document.querySelectorAll("[data-orbit]").forEach(each =>
        each.setAttribute("aria-pressed", String(Number(each.dataset.orbit) === chosen)));
      paint(chosen);
    }));
  place.addEventListener("keydown", event => {
    const turns = { ArrowLeft: ["y", -10], ArrowRight: ["y", 10], ArrowUp: ["x", -10], ArrowDown: ["x", 10] };
    const zooms = { "+": 1.15, "-": 1 / 1.15 };
    if (turns[event.key]) turnTo(turned(viewer.getView().slice(4), turns[event.key]));
    else if (zooms[event.key]) viewer.zoom(zooms[event.key]);
    else return;
    event.preventDefault();
    viewer.render();
  });
  addEventListener("resize", () => { viewer.resize(); viewer.render(); });
  paint(null);
  look("general");
  document.getElementById("controls").hidden = false;
})();
