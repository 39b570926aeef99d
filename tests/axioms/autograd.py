"""Gradients of a linear last layer by backward passes, one frame and one label at a time."""

from itertools import product

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy


def labels_of_frame(family, sites, classes):
    """Every label that a frame of ``sites`` sites can have, each ``[S, C]`` zeros and ones."""
    if family == "bernoulli":
        answers = [torch.tensor(bits, dtype=torch.float64) for bits in product((0, 1), repeat=classes)]
    else:
        answers = list(torch.eye(classes, dtype=torch.float64))
    for combination in product(answers, repeat=sites):
        yield torch.stack(combination)


def probability(family, probs, label):
    """P(label) of independent sites, both ``[S, C]``."""
    if family == "bernoulli":
        return torch.where(label > 0, probs, 1 - probs).prod()
    return (probs * label).sum(dim=1).prod()


def gradient(family, h, weight, bias, label, counts):
    """Gradient of the mean loss over sites in a 1×1 convolution (a linear layer at one site), flat.

    h ``[S, D]``, weight ``[C, D]``, bias ``[C]`` or None, label ``[S, C]``, counts ``[S]``: how much each site counts.
    """
    sites, features = h.shape
    layer = torch.nn.Conv2d(features, len(weight), kernel_size=1, bias=bias is not None, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(weight[:, :, None, None])
        if bias is not None:
            layer.bias.copy_(bias)
    logits = layer(h.T.reshape(1, features, sites, 1)).reshape(len(weight), sites).T  # [S, C]
    if family == "bernoulli":
        losses = binary_cross_entropy_with_logits(logits, label, reduction="none").sum(dim=1)  # [S]
    else:
        losses = cross_entropy(logits, label.argmax(dim=1), reduction="none")  # [S]
    ((losses * counts).sum() / counts.sum()).backward()
    # per class: D weights, then the bias
    grads = [layer.weight.grad.reshape(len(weight), features)]
    if bias is not None:
        grads.append(layer.bias.grad[:, None])
    return torch.cat(grads, dim=1).flatten()


class LinearHead:
    """A last layer with random weights, and the head output it makes of random features."""

    def __init__(self, family, sites, classes=3, features=4, frames=7, bias=True, holes=True, soft=False, seed=0):
        from axioms.heads import posterior

        from mtal.tasks.posterior import HeadOutput

        generator = torch.Generator().manual_seed(seed)
        self.family = family
        self.h = torch.randn(frames, sites, features, generator=generator, dtype=torch.float64)
        self.weight = torch.randn(classes, features, generator=generator, dtype=torch.float64)
        self.bias = torch.randn(classes, generator=generator, dtype=torch.float64) if bias else None
        logits = self.h @ self.weight.T + (self.bias if bias else 0)
        valid = None
        if holes and sites > 1:
            valid = torch.rand(frames, sites, generator=generator) > 0.3
            valid[:, 0] = True
            if soft:
                valid = valid * (0.1 + 0.9 * torch.rand(frames, sites, generator=generator, dtype=torch.float64))
        self.output = HeadOutput(family, posterior(family, logits), valid, self.h, bias)

    def frames(self):
        """Probabilities ``[S, C]``, features ``[S, D]`` and weights ``[S]`` of the sites that count, by frame."""
        for probs, h, counts in zip(self.output.probs, self.h, self.output.site_weights, strict=True):
            yield probs[counts > 0], h[counts > 0], counts[counts > 0]

    def gradients_of_all_labels(self):
        """Per frame: P(label) and the flat gradient, for every label."""
        for probs, h, counts in self.frames():
            labels = list(labels_of_frame(self.family, *probs.shape))
            yield (
                torch.stack([probability(self.family, probs, label) for label in labels]),
                torch.stack([gradient(self.family, h, self.weight, self.bias, label, counts) for label in labels]),
            )

    def hallucinated_gradients(self):
        """Flat gradient under the likeliest label of each site, per frame."""
        for probs, h, counts in self.frames():
            if self.family == "bernoulli":
                label = (probs > 0.5).double()
            else:
                label = torch.eye(probs.shape[1], dtype=torch.float64)[probs.argmax(dim=1)]
            yield gradient(self.family, h, self.weight, self.bias, label, counts)


class SharedEncoderOutput:
    """Linear heads on one representation z, and the gradients of their own answers' losses at z by backward passes."""

    def __init__(self, frames=5, features=6, seed=0):
        generator = torch.Generator().manual_seed(seed)

        def normal(*size):
            return torch.randn(*size, generator=generator, dtype=torch.float64)

        self.z = normal(frames, features)
        self.layers = {"tools": normal(3, features), "bleeding": normal(1, features), "phase": normal(4, features)}

    def loss(self, task, z):
        """Loss of the head's own answer on one frame, z ``[D]``."""
        logits = self.layers[task] @ z  # [C]
        if task == "phase":
            return cross_entropy(logits[None], logits.argmax()[None])
        return binary_cross_entropy_with_logits(logits, (logits > 0).double(), reduction="sum")

    def gradient(self, weights):
        """∂ Σ_t w_t L_t/∂z by one backward pass a frame, ``[N, D]``."""
        rows = []
        for frame in self.z:
            z = frame.clone().requires_grad_()
            sum(w * self.loss(task, z) for task, w in weights.items()).backward()
            rows.append(z.grad)
        return torch.stack(rows)

    def heads(self):
        """The heads' outputs with their own gradients."""
        from mtal.tasks.posterior import HeadOutput

        outputs = {}
        for task, layer in self.layers.items():
            logits = (self.z @ layer.T).unsqueeze(1)  # [N, 1, C]
            family = "categorical" if task == "phase" else "bernoulli"
            probs = logits.softmax(dim=-1) if family == "categorical" else logits.sigmoid()
            outputs[task] = HeadOutput(family, probs, shared_gradient=self.gradient({task: 1.0}))
        return outputs
