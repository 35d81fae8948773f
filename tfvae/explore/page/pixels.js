// Arrays of pixels in [0, 1] on canvases, pictures as such arrays, and the little arithmetic that codes need.

export function paintImage(canvas, x, model) {
  if (model.isPoints) return paintPoints(canvas, [x]);
  paintGrid(canvas, [x], 1, model);
}

// Images side by side, so many in a row, on one canvas.
export function paintGrid(canvas, images, columns, model) {
  const [height, width, channels] = model.shape;
  const rows = Math.ceil(images.length / columns);
  resizeCanvas(canvas, columns * width, rows * height);
  const context = canvas.getContext("2d");
  images.forEach((x, i) => {
    const data = context.createImageData(width, height);
    for (let p = 0; p < width * height; p++)
      for (let c = 0; c < 4; c++) {
        const channel = channels >= 3 ? c : 0; // grey is the same in all three
        const value = c === 3 && channels !== 4 ? 1 : x[p * channels + channel];
        data.data[4 * p + c] = 255 * value; // a clamped array rounds
      }
    context.putImageData(data, (i % columns) * width, Math.floor(i / columns) * height);
  });
}

// Points of the unit square, the second coordinate upwards.
export function paintPoints(canvas, points) {
  const side = 360;
  resizeCanvas(canvas, side, side);
  const context = canvas.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  context.fillStyle = style.getPropertyValue("--well");
  context.fillRect(0, 0, side, side);
  context.fillStyle = style.getPropertyValue("--accent");
  const radius = points.length > 1 ? 2 : 12;
  for (const [a, b] of points) {
    context.beginPath();
    context.arc(side * (0.05 + 0.9 * a), side * (0.95 - 0.9 * b), radius, 0, 7);
    context.fill();
  }
}

function resizeCanvas(canvas, width, height) {
  if (canvas.width === width && canvas.height === height) return; // setting it would clear, and flicker
  canvas.width = width;
  canvas.height = height;
}

// The middle square of a picture, in the model's size: halved until near, so that no pixel is left out.
export function fitPicture(picture, [height, width, channels], invert) {
  const share = Math.min(picture.width / width, picture.height / height);
  let [w, h] = [share * width, share * height];
  const cut = [(picture.width - w) / 2, (picture.height - h) / 2, w, h];
  let now = scalePicture(picture, cut, Math.max(width, Math.round(w)), Math.max(height, Math.round(h)));
  while (now.width >= 2 * width && now.height >= 2 * height)
    now = scalePicture(now, [0, 0, now.width, now.height], now.width >> 1, now.height >> 1);
  now = scalePicture(now, [0, 0, now.width, now.height], width, height);
  const bytes = now.getContext("2d").getImageData(0, 0, width, height).data;
  const x = new Float32Array(width * height * channels);
  for (let p = 0; p < width * height; p++) {
    const [r, g, b] = [0, 1, 2].map((c) => (invert ? 255 - bytes[4 * p + c] : bytes[4 * p + c]) / 255);
    if (channels < 3) x[p * channels] = 0.299 * r + 0.587 * g + 0.114 * b; // ITU-R BT.601
    else x.set([r, g, b, 1].slice(0, channels), p * channels);
  }
  return x;
}

function scalePicture(source, cut, width, height) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#fff"; // under what is transparent
  context.fillRect(0, 0, width, height);
  context.drawImage(source, ...cut, 0, 0, width, height);
  return canvas;
}

// x with a soft stroke from a to b, a twelfth of the picture wide; ink is a colour, or 1 for grey.
export function drawStroke(x, [height, width, channels], a, b, colour) {
  const result = Float32Array.from(x);
  const radius = Math.max(0.7, Math.max(width, height) / 24);
  for (let row = 0; row < height; row++)
    for (let column = 0; column < width; column++) {
      const cover = Math.min(1, Math.max(0, radius + 0.5 - distanceToSegment([column + 0.5, row + 0.5], a, b)));
      const at = (row * width + column) * channels;
      for (let c = 0; c < channels; c++) result[at + c] = (1 - cover) * x[at + c] + cover * (colour[c] ?? colour[0]);
    }
  return result;
}

// The distance from p to the nearest point of the line from a to b.
function distanceToSegment(p, a, b) {
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
  const along = ((p[0] - a[0]) * dx + (p[1] - a[1]) * dy) / (dx * dx + dy * dy || 1);
  const share = Math.min(1, Math.max(0, along));
  return Math.hypot(p[0] - a[0] - share * dx, p[1] - a[1] - share * dy);
}

// --- codes ---------------------------------------------------------------------------------------------------------

// Draws of N(0, 1) that a seed fixes: mulberry32, then Box and Muller.
export function drawNormals(count, seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 2 ** 32;
  };
  return Array.from({ length: count }, () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()));
}

// P(N(0, 1) < z); Abramowitz & Stegun, 1964, 7.1.26: to 1e-7.
export function normalCdf(z) {
  const t = 1 / (1 + (0.3275911 * Math.abs(z)) / Math.SQRT2);
  const series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  const tail = (series * Math.exp((-z * z) / 2)) / 2;
  return z < 0 ? tail : 1 - tail;
}

// The inverse of `normalCdf` by halving.
export function normalQuantile(share) {
  let [low, high] = [-6, 6];
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2;
    if (normalCdf(middle) < share) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

// From a to b: on the line, or on the arc between their directions (Shoemake, 1985), with lengths in between.
export function interpolate(a, b, share, arc) {
  const length = (v) => Math.hypot(...v);
  const cosine = a.reduce((sum, v, i) => sum + v * b[i], 0) / (length(a) * length(b));
  const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
  if (!arc || !(Math.sin(angle) > 1e-4)) return a.map((v, i) => (1 - share) * v + share * b[i]);
  const [p, q] = [Math.sin((1 - share) * angle), Math.sin(share * angle)].map((v) => v / Math.sin(angle));
  const radius = (1 - share) * length(a) + share * length(b);
  const point = a.map((v, i) => (p * v) / length(a) + (q * b[i]) / length(b));
  return point.map((v) => v * radius);
}
