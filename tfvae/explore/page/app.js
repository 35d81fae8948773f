// The page: asks what the model is, then starts the panels that it has signatures for.

import { Model, say } from "./api.js";
import { startSamples, startYours } from "./images.js";
import { startLatents } from "./latents.js";
import { $, make, state } from "./state.js";
import { startTold } from "./told.js";
import { startBetween, startSteps } from "./ways.js";

function describe(model) {
  const [height, width, channels] = model.shape;
  const kinds = { 1: "grey", 3: "colour", 4: "colour and alpha" };
  const kind = kinds[channels] ?? `${channels} channels`;
  const what = model.points ? "points of the plane" : `${height} × ${width}, ${kind}`;
  document.title = `${model.name} – tfvae explore`;
  $("name").textContent = model.name;
  $("about").textContent = model.about;
  const facts = [what, `${model.latent} latents`, `version ${model.version}`];
  $("facts").append(...facts.map((text) => make("li", {}, text)));
  document.body.classList.toggle("points", model.points);
  document.documentElement.style.setProperty("--aspect", model.points ? "1" : `${width} / ${height}`);
}

async function start() {
  const model = await Model.load();
  state.model = model;
  state.mine = new Float32Array(model.shape.reduce((a, b) => a * b)).fill(model.points ? 0.5 : 0);
  describe(model);
  startTold();
  $("panels").hidden = false;
  startSamples();
  startSteps();
  await startLatents();
  await startYours();
  await startBetween();
  document.body.dataset.ready = "yes"; // for those who wait: tests
}

start().catch((error) => {
  $("about").textContent = "The page could not start.";
  say(error.message, start);
});
