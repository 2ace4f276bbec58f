"""What a system may have as its vision tower.

Every tower maps the present views, [N, 1, H, W] grey or [N, 3, H, W], to tokens [N, 1 + P, D]: one for the
whole view, then its places along rows. All have `width` (D), `patch_px`, `mean`, `std`, `name`, `identity`,
`projection` and `config`. Adapters, dropped patches and levels are for the transformer alone.
"""

from __future__ import annotations

from radalign.nn.resnet import ResNet
from radalign.nn.vision import VisionEncoder

VisionTower = VisionEncoder | ResNet
