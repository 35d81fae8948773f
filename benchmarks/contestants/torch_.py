"""Hand-written PyTorch: eager, or torch.compile with the fused Adam."""

import time

import torch
from torch import nn

from contestants.cases import describe_epoch, load_images, measure_rates, permute_epochs


def build_layer(layer):
    """Return a layer with its weights."""
    if layer.op == "dense":
        return nn.Linear(layer.inputs, layer.outputs)
    kind = nn.ConvTranspose2d if layer.op == "up" else nn.Conv2d
    stride = 1 if layer.op == "same" else 2
    return kind(layer.inputs, layer.outputs, layer.kernel, stride, padding=(layer.kernel - stride + 1) // 2)


def build_network(layers, flat):
    """Return the layers with what is between them: ReLU, and images to vectors and back.

    Args:
        flat: whether the input is a vector.
    """
    parts = []
    for layer in layers:
        if (layer.op == "dense") != flat:
            parts.append(nn.Unflatten(1, (layer.inputs, layer.side, layer.side)) if flat else nn.Flatten())
        parts += [build_layer(layer), nn.ReLU()]
        flat = layer.op == "dense"
    return nn.Sequential(*parts[:-1])


class Model(nn.Module):
    """A VAE that maps pixels in [0, 1], [B, 784] or [B, 1, 28, 28], to the mean loss."""

    def __init__(self, case):
        super().__init__()
        encoder, decoder = case.layers
        self.encoder = build_network(encoder, flat=case.kind == "mlp")
        self.decoder = nn.Sequential(*build_network(decoder, flat=True), nn.Sigmoid())
        for name, parameter in self.named_parameters():
            nn.init.zeros_(parameter) if name.endswith("bias") else nn.init.xavier_uniform_(parameter)

    def forward(self, x):
        mean, log_var = self.encoder(x).chunk(2, dim=1)
        z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
        error = 0.5 * (x - self.decoder(z)).square().flatten(1).sum(1)
        kl = 0.5 * (mean.square() + log_var.exp() - log_var - 1).sum(1)
        return (error + kl).mean()


class ConvDraw(nn.Module):
    """A ConvDraw that maps pixels in [0, 1], [B, 1, 28, 28], to the mean loss; see tfvae.architectures.convdraw."""

    def __init__(self, case):
        super().__init__()
        self.hidden, self.steps = case.widths[0], case.steps
        *halvings, read = (self.conv(layer) for layer in case.stem)
        self.stem, self.read = nn.ModuleList(halvings), read
        self.encode, self.decode, self.posterior, self.prior, self.write = (self.conv(layer) for layer in case.core)
        self.read.bias = None  # the gates have theirs in `encode`
        self.first_cell = nn.Parameter(torch.zeros(1, self.hidden, 7, 7))
        self.image_weight = nn.Parameter(torch.ones(1))
        for name, parameter in self.named_parameters():
            if name.endswith("weight") and parameter.dim() == 4:
                nn.init.xavier_uniform_(parameter)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    @staticmethod
    def conv(layer):
        if layer.op == "same":
            return nn.Conv2d(layer.inputs, layer.outputs, layer.kernel, padding=layer.kernel // 2)
        return nn.Conv2d(layer.inputs, layer.outputs, layer.kernel, 2, padding=1)

    @staticmethod
    def normal(raw):
        mean, raw = raw.chunk(2, dim=1)
        return mean, 5.0 * torch.tanh(raw / 5.0)

    @staticmethod
    def lstm(gates, cell):
        keep, write, show, value = gates.chunk(4, dim=1)
        cell = torch.sigmoid(keep + 1.0) * cell + torch.sigmoid(write) * torch.tanh(value)
        return torch.sigmoid(show) * torch.tanh(cell), cell

    def forward(self, x):
        side, features = x.shape[-1] // 4, x
        for conv in self.stem:
            features = nn.functional.silu(conv(features))
        share, patches = self.read(features), nn.functional.pixel_unshuffle(x, 4)
        encoder_hidden = encoder_cell = x.new_zeros(len(x), self.hidden, side, side)
        cell = self.first_cell.expand(len(x), -1, -1, -1)
        hidden = torch.tanh(cell)
        canvas, kl = torch.zeros_like(patches), 0.0
        for _ in range(self.steps):
            image = torch.sigmoid(self.image_weight * canvas)
            seen = torch.cat([patches - image, hidden, encoder_hidden], dim=1)
            encoder_hidden, encoder_cell = self.lstm(self.encode(seen) + share, encoder_cell)
            mean, log_stddev = self.normal(self.posterior(encoder_hidden))
            prior_mean, prior_log_stddev = self.normal(self.prior(hidden))
            z = mean + log_stddev.exp() * torch.randn_like(mean)
            ratio = log_stddev - prior_log_stddev
            shift = (mean - prior_mean) * torch.exp(-prior_log_stddev)
            kl = kl + 0.5 * (shift.square() + torch.exp(2 * ratio) - 2 * ratio - 1).flatten(1).sum(1)
            hidden, cell = self.lstm(self.decode(torch.cat([z, image, hidden], dim=1)), cell)
            canvas = canvas + self.write(hidden)
        error = 0.5 * (patches - torch.sigmoid(canvas)).square().flatten(1).sum(1)
        return (error + kl).mean()


def build_model(case):
    """Return the case's model."""
    return ConvDraw(case) if case.kind == "convdraw" else Model(case)


def count_parameters(model):
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def train(case, path, epochs, compiled, gpu=0):
    """Train the case, and return the result of each epoch."""
    device = "cuda" if gpu else "cpu"
    torch.set_float32_matmul_precision("high")  # TF32 on a GPU that has it, as in TensorFlow; nothing on a CPU
    model = build_model(case).to(device)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=compiled or None)
    forward = torch.compile(model) if compiled else model
    shape = (-1, 784) if case.kind == "mlp" else (-1, 1, 28, 28)
    data = torch.from_numpy(load_images(path, case).reshape(shape)).to(device)
    results = []
    for order in permute_epochs(case, epochs):
        start, total = time.perf_counter(), torch.zeros((), device=device)
        for rows in torch.from_numpy(order).to(device):
            loss = forward(data[rows].float() / 255.0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        mean = float(total) / len(order)  # waits for the device
        results.append(describe_epoch(time.perf_counter() - start, mean, count_parameters(model)))
    return results


def sample(case, path, batch, calls, compiled):
    """Return images/s of decoding draws from the prior."""
    decoder = Model(case).decoder.eval()
    decode = torch.compile(decoder) if compiled else decoder

    @torch.inference_mode()
    def draw():
        return decode(torch.randn(batch, case.latent)).numpy()

    return measure_rates(draw, batch, calls)
