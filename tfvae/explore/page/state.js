// What the panels share: the code on the sliders, your image, and who wants to know when they change.

import { normals } from "./pixels.js";

export const $ = (id) => document.getElementById(id);

const listeners = { code: [], told: [], mine: [] };

export const state = {
  model: null,
  code: null, // z on the sliders, [L]
  mine: null, // your image, pixels in a row
};

export function on(event, work) {
  listeners[event].push(work);
}

export function changed(event) {
  for (const work of listeners[event]) work();
}

export function setCode(code) {
  state.code = Array.from(code);
  changed("code");
}

export function setMine(x) {
  state.mine = Float32Array.from(x);
  changed("mine");
}

// Only elements and texts are ever made, so nothing that a server says becomes HTML.
export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// The number in a box, a whole one within its bounds, whatever was typed.
export function whole(input) {
  const value = Math.min(Number(input.max), Math.max(Number(input.min), Math.round(Number(input.value) || 0)));
  input.value = value;
  return value;
}

// A slider that says its value beside its name.
export function spoken(slider, shown, text) {
  const tell = () => (shown.textContent = text(Number(slider.value)));
  slider.addEventListener("input", tell);
  tell();
}

// The code of the sample with this seed, as the encoder sees it, since not every prior is N(0, I); else a draw of that.
export async function sampled(seed, temperature = 1) {
  const { model } = state;
  if (!model.has("sample", "encode")) return normals(model.latent, seed).map((v) => temperature * v);
  return (await model.encode(await model.sample(1, seed, temperature)))[0];
}
