// TensorFlow Serving's REST API of one model, and the order of requests: the newest wins.

export class Model {
  // description: model.json; signatures: {name: {inputs, outputs: {key: {dtype, shape}}}}, -1 for a free side.
  constructor(description, signatures, version) {
    Object.assign(this, description, { signatures, version });
    this.path = `v1/models/${description.name}`;
    this.conditionValue = null; // of every image; null for a model without a condition
    const decode = signatures.decode;
    this.shape = decode.outputs.image.shape.slice(1); // H, W, C
    this.latent = decode.inputs.z.shape[1];
    this.isPoints = String(this.shape) === "1,2,1"; // toy data: each image is a point of the plane
  }

  static async load() {
    const description = await fetchJson("model.json");
    const metadata = await fetchJson(`v1/models/${description.name}/metadata`);
    const signatures = {};
    for (const [name, info] of Object.entries(metadata.metadata.signature_def.signature_def))
      signatures[name] = { inputs: parseSpecs(info.inputs), outputs: parseSpecs(info.outputs) };
    const { inputs, outputs } = signatures.decode ?? { inputs: {}, outputs: {} };
    if (inputs.z?.shape.length !== 2 || outputs.image?.shape.length !== 4)
      throw new Error("Expected a model with the signature decode, from codes z to images. Received: another one.");
    return new Model(description, signatures, metadata.model_spec.version);
  }

  has(...names) {
    return names.every((name) => name in this.signatures);
  }

  // {output: value} of a signature; `count` images are requested, all with the same value of the condition.
  async call(name, inputs, count = 1) {
    const signature = this.signatures[name];
    if ("condition" in signature.inputs) inputs = { ...inputs, condition: Array(count).fill(this.conditionValue) };
    const body = JSON.stringify({ signature_name: name, inputs });
    const { outputs } = await fetchJson(`${this.path}:predict`, { method: "POST", body });
    const names = Object.keys(signature.outputs);
    return names.length === 1 ? { [names[0]]: outputs } : outputs; // one output alone has no name
  }

  async decode(codes) {
    return (await this.call("decode", { z: codes.map((z) => Array.from(z)) }, codes.length)).image.map(flattenImage);
  }

  async sample(n, seed, temperature = 1) {
    return (await this.call("sample", { n, seed: [seed, 0], temperature })).image.map(flattenImage);
  }

  // Means of q(z|x).
  async encode(images) {
    return (await this.call("encode", { x: images.map((x) => this.nested(x)) }, images.length)).mean;
  }

  async reconstruct(x) {
    return flattenImage((await this.call("reconstruct", { x: [this.nested(x)] })).image[0]);
  }

  async measureElbo(x) {
    return await this.call("elbo", { x: [this.nested(x)], seed: [0, 0] });
  }

  // The pictures after each step: [n][steps] images.
  async draw(n, seed, temperature) {
    const { frames } = await this.call("draw", { n, seed: [seed, 0], temperature });
    return frames.map((drawing) => drawing.map(flattenImage));
  }

  // Pixels in a row -> [H][W][C], four digits each, so that bodies stay short.
  nested(x) {
    const [height, width, channels] = this.shape;
    const pixel = (i) => Array.from(x.subarray(i * channels, (i + 1) * channels), (v) => Math.round(1e4 * v) / 1e4);
    return Array.from({ length: height }, (_, r) => Array.from({ length: width }, (_, c) => pixel(r * width + c)));
  }
}

const flattenImage = (image) => Float32Array.from(image.flat(2));

function parseSpecs(infos) {
  const sides = (shape) => (shape.dim ?? []).map((side) => Number(side.size));
  const spec = ({ dtype, tensor_shape }) => ({ dtype, shape: sides(tensor_shape) });
  return Object.fromEntries(Object.entries(infos ?? {}).map(([key, info]) => [key, spec(info)]));
}

async function fetchJson(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer. Is  tfvae explore  still running?");
  }
  const content = await answer.json().catch(() => ({ error: `The server answered ${answer.status} without JSON.` }));
  if (!answer.ok) throw new Error(extractMessage(String(content.error)));
  return content;
}

// The model's own message, without the names of nodes that TensorFlow Serving adds.
function extractMessage(text) {
  const assertion = /assertion failed: \[(.*?)\](?:\s*\[|\s|$)/.exec(text);
  return (assertion ? assertion[1] : text).split("\n")[0].slice(0, 300);
}

// One piece of work at a time; of the requests that arrive meanwhile, only the newest is done.
export class LatestTask {
  constructor(work) {
    this.work = work;
    this.busy = false;
    this.next = null;
  }

  async request(...values) {
    this.next = values;
    if (this.busy) return;
    this.busy = true;
    while (this.next) {
      const now = this.next;
      this.next = null;
      try {
        await this.work(...now);
        showMessage("", this);
      } catch (error) {
        showMessage(error.message, this);
      }
    }
    this.busy = false;
  }
}

const messages = new Map();

// Shows one line at the foot of the page, until the same source shows "".
export function showMessage(text, source) {
  if (text) messages.set(source, text);
  else messages.delete(source);
  document.getElementById("message").textContent = [...messages.values()].at(-1) ?? "";
}
