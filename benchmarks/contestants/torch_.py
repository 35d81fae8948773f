"""Hand-written PyTorch: eager, or torch.compile with the fused Adam."""

import time

import torch
from torch import nn

from contestants.cases import epoch, load, orders, rates


def module(layer):
    if layer.op == "dense":
        return nn.Linear(layer.inputs, layer.outputs)
    kind = nn.ConvTranspose2d if layer.op == "up" else nn.Conv2d
    stride = 1 if layer.op == "same" else 2
    return kind(layer.inputs, layer.outputs, layer.kernel, stride, padding=(layer.kernel - stride + 1) // 2)


def stack(layers, flat):
    """The layers with what is between them: ReLU, and images to vectors and back.

    Args:
        flat: whether the input is a vector.
    """
    parts = []
    for layer in layers:
        if (layer.op == "dense") != flat:
            parts.append(nn.Unflatten(1, (layer.inputs, layer.side, layer.side)) if flat else nn.Flatten())
        parts += [module(layer), nn.ReLU()]
        flat = layer.op == "dense"
    return nn.Sequential(*parts[:-1])


class Model(nn.Module):
    """Pixels in [0, 1], [B, 784] or [B, 1, 28, 28], -> the mean loss."""

    def __init__(self, case):
        super().__init__()
        encoder, decoder = case.layers
        self.encoder = stack(encoder, flat=case.kind == "mlp")
        self.decoder = nn.Sequential(*stack(decoder, flat=True), nn.Sigmoid())
        for name, parameter in self.named_parameters():
            nn.init.zeros_(parameter) if name.endswith("bias") else nn.init.xavier_uniform_(parameter)

    def forward(self, x):
        mean, log_var = self.encoder(x).chunk(2, dim=1)
        z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
        error = 0.5 * (x - self.decoder(z)).square().flatten(1).sum(1)
        kl = 0.5 * (mean.square() + log_var.exp() - log_var - 1).sum(1)
        return (error + kl).mean()


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def train(case, path, epochs, compiled, gpu=0):
    device = "cuda" if gpu else "cpu"
    torch.set_float32_matmul_precision("high")  # TF32 on a GPU that has it, as in TensorFlow; nothing on a CPU
    model = Model(case).to(device)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=compiled or None)
    forward = torch.compile(model) if compiled else model
    shape = (-1, 784) if case.kind == "mlp" else (-1, 1, 28, 28)
    data = torch.from_numpy(load(path, case).reshape(shape)).to(device)
    found = []
    for order in orders(case, epochs):
        begun, total = time.perf_counter(), torch.zeros((), device=device)
        for rows in torch.from_numpy(order).to(device):
            loss = forward(data[rows].float() / 255.0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        mean = float(total) / len(order)  # waits for the device
        found.append(epoch(time.perf_counter() - begun, mean, parameters(model)))
    return found


def sample(case, path, batch, calls, compiled):
    decoder = Model(case).decoder.eval()
    decode = torch.compile(decoder) if compiled else decoder

    @torch.inference_mode()
    def draw():
        return decode(torch.randn(batch, case.latent)).numpy()

    return rates(draw, batch, calls)
