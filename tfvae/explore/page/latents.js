// The sliders and the map: two ways to move the same code.

import { LatestTask } from "./api.js";
import { normalCdf, normalQuantile, paintGrid, paintImage, paintPoints } from "./pixels.js";
import { $, createElement, listen, readInteger, sampleCode, setCode, showSliderValue, state } from "./state.js";

const ROWS = 16; // sliders shown at first, and with each press of "Show more"
const PROBED = 3e5; // pixels encoded to see which latents are active
const MAPPED = 2e5; // pixels of the map
const REACH = 0.005; // the share of the prior beyond each edge of the map

// Latents by how far the codes of samples spread in them; how far they reach; each latent's size, at least the prior's.
async function rankLatents(model) {
  const all = Array.from({ length: model.latent }, (_, i) => i);
  if (!model.has("sample", "encode")) return { order: all, reach: 3, sizes: all.map(() => 1) };
  const pixels = model.shape.reduce((a, b) => a * b);
  const count = Math.max(2, Math.min(64, Math.floor(PROBED / pixels)));
  const codes = await model.encode(await model.sample(count, 0));
  const spread = all.map((i) => {
    const mean = codes.reduce((sum, z) => sum + z[i], 0) / count;
    return codes.reduce((sum, z) => sum + (z[i] - mean) ** 2, 0);
  });
  const reach = Math.max(...codes.map((z) => Math.max(...z.map(Math.abs))));
  const sizes = all.map((i) => Math.max(1, Math.sqrt(codes.reduce((sum, z) => sum + z[i] ** 2, 0) / count)));
  return { order: all.sort((a, b) => spread[b] - spread[a]), reach, sizes };
}

export async function startLatents() {
  const { model } = state;
  const { order, reach, sizes } = await rankLatents(model);
  state.code = await sampleCode(readInteger($("latent-seed")));
  startSliders(order, Math.max(3, Math.ceil(reach)));
  const image = new LatestTask(async (code) => paintImage($("image"), (await model.decode([code]))[0], model));
  const draw = () => image.request(state.code);
  const codeTask = new LatestTask(async (seed, temperature) => setCode(await sampleCode(seed, temperature)));
  const random = () => codeTask.request(readInteger($("latent-seed")), Number($("latent-temperature").value));
  listen("code", draw);
  listen("condition", draw);
  $("reset").addEventListener("click", () => setCode(Array(model.latent).fill(0)));
  $("random").addEventListener("click", () => {
    $("latent-seed").value = readInteger($("latent-seed")) + 1;
    random();
  });
  $("latent-seed").addEventListener("change", random);
  $("latent-temperature").addEventListener("input", random);
  showSliderValue($("latent-temperature"), $("latent-temperature-shown"), (v) => v.toFixed(1));
  draw();
  startMap(order, sizes);
}

// A slider for each latent, in this order, from -bound to bound.
function startSliders(order, bound) {
  const rows = new Map();

  function updateSliders() {
    for (const [i, { slider, value }] of rows) {
      slider.value = state.code[i];
      value.textContent = (Math.round(100 * state.code[i]) / 100 + 0).toFixed(2); // + 0, for -0 has a sign
    }
  }

  function showMore() {
    for (const i of order.slice(rows.size, rows.size + ROWS)) {
      const slider = createElement("input", { type: "range", min: -bound, max: bound, step: 0.05, "data-latent": i });
      const value = createElement("output");
      slider.addEventListener("input", () => setCode(state.code.map((v, k) => (k === i ? Number(slider.value) : v))));
      rows.set(i, { slider, value });
      const name = createElement("span", {}, `z${i + 1}`);
      $("sliders").append(createElement("label", { class: "slider" }, name, slider, value));
    }
    $("more").hidden = rows.size === order.length;
    $("more").textContent = `Show more (${order.length - rows.size})`;
    updateSliders();
  }

  $("more").addEventListener("click", showMore);
  listen("code", updateSliders);
  showMore();
}

// --- the map -------------------------------------------------------------------------------------------------------

function startMap(order, sizes) {
  const { model } = state;
  if (model.latent < 2) return void ($("plane").hidden = true);
  startAxes(order);
  const axes = () => [Number($("plane-x").value), Number($("plane-y").value)];
  const position = () => axes().map((i) => normalCdf(state.code[i] / sizes[i])); // of the code: to the right, upwards
  const pixels = model.shape.reduce((a, b) => a * b);
  const side = model.isPoints ? 25 : Math.max(5, Math.min(15, Math.floor(Math.sqrt(MAPPED / pixels))));
  // Kingma & Welling, 2014, "Auto-Encoding Variational Bayes", fig. 4.
  const values = Array.from({ length: side }, (_, i) => normalQuantile((i + 0.5) / side));

  function codes() {
    const [a, b] = axes();
    return [...values].reverse().flatMap((upwards) =>
      values.map((rightwards) => {
        const code = [...state.code];
        [code[a], code[b]] = [rightwards * sizes[a], upwards * sizes[b]];
        return code;
      }),
    );
  }

  const map = new LatestTask(async (grid) => {
    const images = await model.decode(grid);
    if (model.isPoints) paintPoints($("plane-map"), images);
    else paintGrid($("plane-map"), images, side, model);
  });
  let timer = 0;
  const drawLater = () => {
    clearTimeout(timer);
    timer = setTimeout(() => map.request(codes()), 120); // once the hand rests: a map costs as much as many images
  };
  const background = () => String(state.code.map((v, i) => (axes().includes(i) ? 0 : v)));
  let shownBackground = background();

  function mark() {
    const [shareRight, shareUp] = position();
    $("plane-here").style.left = `${100 * shareRight}%`;
    $("plane-here").style.top = `${100 * (1 - shareUp)}%`;
  }

  listen("code", () => {
    mark();
    if (background() === shownBackground) return; // the move was on the map itself
    shownBackground = background();
    drawLater();
  });
  listen("condition", drawLater);
  for (const id of ["plane-x", "plane-y"])
    $(id).addEventListener("change", () => ((shownBackground = background()), mark(), map.request(codes())));
  startPointer(position, side, (shares) => {
    const code = [...state.code];
    axes().forEach((i, k) => (code[i] = sizes[i] * normalQuantile(Math.min(1 - REACH, Math.max(REACH, shares[k])))));
    setCode(code);
  });
  mark();
  map.request(codes());
}

// Which two latents: the most active ones, or the only two.
function startAxes(order) {
  const two = order.length === 2;
  for (const [id, chosen] of [["plane-x", two ? 0 : order[0]], ["plane-y", two ? 1 : order[1]]]) {
    for (const i of order) $(id).append(createElement("option", { value: i }, `z${i + 1}`));
    $(id).value = chosen;
  }
  $("plane-axes").hidden = two;
  const rest = two ? "" : ", the other latents as the sliders say";
  $("plane-lead").textContent = state.model.isPoints
    ? "Where an even grid of the prior's codes lands. Press or drag: the ring is the code's place, not the point's."
    : `A plane of the prior, each image an equal share of it${rest}. Press or drag.`;
}

// Pointer and arrow keys on the map: `go` gets shares of the prior, to the right and upwards.
function startPointer(position, side, go) {
  const frame = $("plane-frame");
  function point(event) {
    const box = frame.getBoundingClientRect();
    go([(event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height]);
  }
  frame.addEventListener("pointerdown", (event) => (frame.setPointerCapture(event.pointerId), point(event)));
  frame.addEventListener("pointermove", (event) => event.buttons && point(event));
  frame.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!move) return;
    event.preventDefault();
    go(position().map((share, k) => share + move[k] / side));
  });
}
