"""Small parquet files of the very layout that the hub publishes, and the pictures that they hold."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


def pictures(count: int, size: tuple[int, ...], *, seed: int = 0) -> list[np.ndarray]:
    """Random pictures of (height, width) or (height, width, 3) bytes."""
    return list(np.random.default_rng(seed).integers(0, 256, (count, *size), dtype=np.uint8))


def png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def publish(path: Path, image_column: str, images: list[np.ndarray], described: bool = True, **columns: list) -> None:
    """Write one parquet file: images as {bytes, path}, described in the schema's metadata as the hub's are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    encoded = pa.array(
        [{"bytes": png(image), "path": f"{index}.png"} for index, image in enumerate(images)],
        type=pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )
    table = pa.table({image_column: encoded, **columns})
    if described:
        features = {image_column: {"_type": "Image"}}
        for name, values in columns.items():
            features[name] = {"dtype": "bool" if isinstance(values[0], bool) else "int64", "_type": "Value"}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path)
