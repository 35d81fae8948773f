// The sliders and the map: two ways to move the same code.

import { Latest } from "./api.js";
import { paint, quantile, scatter, shareBelow, tile } from "./pixels.js";
import { $, make, on, sampled, setCode, spoken, state, whole } from "./state.js";

const ROWS = 16; // sliders shown at first, and with each press of "Show more"
const PROBED = 3e5; // pixels encoded to see which latents are active
const MAPPED = 2e5; // pixels of the map
const REACH = 0.005; // the share of the prior beyond each edge of the map

// Latents by how far the codes of samples spread in them; how far they reach; each latent's size, at least the prior's.
async function activity(model) {
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
  const { order, reach, sizes } = await activity(model);
  state.code = await sampled(whole($("latent-seed")));
  startSliders(order, Math.max(3, Math.ceil(reach)));
  const image = new Latest(async (code) => paint($("image"), (await model.decode([code]))[0], model));
  const draw = () => image.ask(state.code);
  const picked = new Latest(async (seed, heat) => setCode(await sampled(seed, heat)));
  const random = () => picked.ask(whole($("latent-seed")), Number($("latent-heat").value));
  on("code", draw);
  on("told", draw);
  $("reset").addEventListener("click", () => setCode(Array(model.latent).fill(0)));
  $("random").addEventListener("click", () => {
    $("latent-seed").value = whole($("latent-seed")) + 1;
    random();
  });
  $("latent-seed").addEventListener("change", random);
  $("latent-heat").addEventListener("input", random);
  spoken($("latent-heat"), $("latent-heat-shown"), (v) => v.toFixed(1));
  draw();
  startMap(order, sizes);
}

// A slider for each latent, in this order, from -bound to bound.
function startSliders(order, bound) {
  const rows = new Map();

  function place() {
    for (const [i, { slider, value }] of rows) {
      slider.value = state.code[i];
      value.textContent = (Math.round(100 * state.code[i]) / 100 + 0).toFixed(2); // + 0, for -0 has a sign
    }
  }

  function more() {
    for (const i of order.slice(rows.size, rows.size + ROWS)) {
      const slider = make("input", { type: "range", min: -bound, max: bound, step: 0.05, "data-latent": i });
      const value = make("output");
      slider.addEventListener("input", () => setCode(state.code.map((v, k) => (k === i ? Number(slider.value) : v))));
      rows.set(i, { slider, value });
      $("sliders").append(make("label", { class: "slider" }, make("span", {}, `z${i + 1}`), slider, value));
    }
    $("more").hidden = rows.size === order.length;
    $("more").textContent = `Show more (${order.length - rows.size})`;
    place();
  }

  $("more").addEventListener("click", more);
  on("code", place);
  more();
}

// --- the map -------------------------------------------------------------------------------------------------------

function startMap(order, sizes) {
  const { model } = state;
  if (model.latent < 2) return void ($("plane").hidden = true);
  startAxes(order);
  const axes = () => [Number($("plane-x").value), Number($("plane-y").value)];
  const place = () => axes().map((i) => shareBelow(state.code[i] / sizes[i])); // of the code: to the right, upwards
  const pixels = model.shape.reduce((a, b) => a * b);
  const side = model.points ? 25 : Math.max(5, Math.min(15, Math.floor(Math.sqrt(MAPPED / pixels))));
  const values = Array.from({ length: side }, (_, i) => quantile((i + 0.5) / side)); // Kingma & Welling, 2014, fig. 4

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

  const map = new Latest(async (asked) => {
    const images = await model.decode(asked);
    if (model.points) scatter($("plane-map"), images);
    else tile($("plane-map"), images, side, model);
  });
  let timer = 0;
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(() => map.ask(codes()), 120); // once the hand rests: a map costs as much as many images
  };
  const background = () => String(state.code.map((v, i) => (axes().includes(i) ? 0 : v)));
  let known = background();

  function mark() {
    const [shareRight, shareUp] = place();
    $("plane-here").style.left = `${100 * shareRight}%`;
    $("plane-here").style.top = `${100 * (1 - shareUp)}%`;
  }

  on("code", () => {
    mark();
    if (background() === known) return; // the move was on the map itself
    known = background();
    later();
  });
  on("told", later);
  for (const id of ["plane-x", "plane-y"])
    $(id).addEventListener("change", () => ((known = background()), mark(), map.ask(codes())));
  startHand(place, side, (shares) => {
    const code = [...state.code];
    axes().forEach((i, k) => (code[i] = sizes[i] * quantile(Math.min(1 - REACH, Math.max(REACH, shares[k])))));
    setCode(code);
  });
  mark();
  map.ask(codes());
}

// Which two latents: the most active ones, or the only two.
function startAxes(order) {
  const two = order.length === 2;
  for (const [id, chosen] of [["plane-x", two ? 0 : order[0]], ["plane-y", two ? 1 : order[1]]]) {
    for (const i of order) $(id).append(make("option", { value: i }, `z${i + 1}`));
    $(id).value = chosen;
  }
  $("plane-axes").hidden = two;
  const rest = two ? "" : ", the other latents as the sliders say";
  $("plane-lead").textContent = state.model.points
    ? "Where an even grid of the prior's codes lands. Press or drag: the ring is the code's place, not the point's."
    : `A plane of the prior, each image an equal share of it${rest}. Press or drag.`;
}

// Pointer and arrow keys on the map: `go` is told shares of the prior, to the right and upwards.
function startHand(place, side, go) {
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
    go(place().map((share, k) => share + move[k] / side));
  });
}
