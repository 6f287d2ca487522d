"""Makes the pictures of docs/images/app-*.png small: a palette of their own (Debian's python3-pil)."""

import sys
from pathlib import Path

from PIL import Image

LIMIT = 150_000
IMAGES = Path(__file__).parents[3] / "docs" / "images"

for path in sorted(IMAGES.glob("app-*.png")):
    picture = Image.open(path).convert("RGB")
    for colours in (256, 192, 128):
        palette = picture.quantize(colours, method=Image.LIBIMAGEQUANT, dither=Image.NONE)
        palette.save(path, optimize=True)
        size = path.stat().st_size
        if size <= LIMIT:
            break
    print(path.name, colours, "colours,", size, "bytes", file=sys.stderr)
