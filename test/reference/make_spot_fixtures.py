"""Small files of spots as 10x, scipy and anndata write them, and what scipy reads back (expected.json).

Run with Debian's python3-h5py 3.7, python3-scipy 1.10 and python3-numpy 1.24:
    /usr/bin/python3 test/reference/make_spot_fixtures.py
anndata itself is not needed: its on-disk format 0.1.0 is written with h5py as its documentation says.
"""

import gzip
import io
import json
from pathlib import Path

import h5py
import numpy as np
import scipy.io
import scipy.sparse as sp

here = Path(__file__).parent.parent / "data" / "fixtures" / "spots"
rng = np.random.default_rng(5)
SPOTS, GENES = 12, 9
dense = rng.poisson(0.7, (SPOTS, GENES)).astype(np.int32)
dense[3] = 0  # an empty spot
dense[0, 0] = 70000  # more than 16 bits
counts = sp.csr_matrix(dense)
barcodes = [f"ACGT{i:04d}-1" for i in range(SPOTS)]
names = ["AAA", "BBB", "AAA", "CCC", "DDD", "AAA-1", "AAA", "EEE", "CD3-protein"]
ids = [f"ENSG{i:05d}" for i in range(GENES)]
types = ["Gene Expression"] * 8 + ["Antibody Capture"]
array = [(i // 4, 2 * (i % 4) + (i // 4) % 2) for i in range(SPOTS)]
xy = np.array([[100.25 + 50 * c, 80.5 + 86 * r] for r, c in array])


def strings(group, name, values, **options):
    return group.create_dataset(name, data=np.array(values, dtype="S"), **options)


# 10x: barcodes are the columns of a csc matrix [features, barcodes]; fixed-length strings, gzip, int64 indices.
with h5py.File(here / "filtered_feature_bc_matrix.h5", "w") as f:
    csc = sp.csc_matrix(counts.T)
    m = f.create_group("matrix")
    z = {"compression": "gzip", "chunks": True}
    strings(m, "barcodes", barcodes, **z)
    m.create_dataset("data", data=csc.data, **z)
    m.create_dataset("indices", data=csc.indices.astype(np.int64), **z)
    m.create_dataset("indptr", data=csc.indptr.astype(np.int64), **z)
    m.create_dataset("shape", data=np.array(csc.shape, dtype=np.int32))
    g = m.create_group("features")
    strings(g, "id", ids, **z)
    strings(g, "name", names, **z)
    strings(g, "feature_type", types, **z)

# The same as scipy writes MatrixMarket.
text = io.BytesIO()
scipy.io.mmwrite(text, sp.coo_matrix(counts.T), field="integer", comment="scipy")
(here / "matrix.mtx.gz").write_bytes(gzip.compress(text.getvalue(), mtime=0))
back = scipy.io.mmread(io.BytesIO(text.getvalue())).T.tocsr()
assert (back != counts).nnz == 0

str_type = h5py.string_dtype()


def frame(f, name, index, columns):
    g = f.create_group(name)
    g.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index"})
    g.attrs["column-order"] = list(columns)
    g.create_dataset("_index", data=index, dtype=str_type)
    for key, value in columns.items():
        if isinstance(value, tuple):
            c = g.create_group(key)
            c.attrs.update({"encoding-type": "categorical", "encoding-version": "0.2.0", "ordered": False})
            c.create_dataset("categories", data=value[0], dtype=str_type)
            c.create_dataset("codes", data=np.array(value[1], dtype=np.int8))
        elif isinstance(value[0], str):
            g.create_dataset(key, data=value, dtype=str_type)
        else:
            g.create_dataset(key, data=np.array(value))


def sparse(f, name, matrix, kind):
    g = f.create_group(name)
    g.attrs.update({"encoding-type": f"{kind}_matrix", "encoding-version": "0.1.0"})
    g.attrs["shape"] = np.array(matrix.shape, dtype=np.int64)
    g.create_dataset("data", data=matrix.data, compression="gzip", chunks=True)
    g.create_dataset("indices", data=matrix.indices)
    g.create_dataset("indptr", data=matrix.indptr)


def h5ad(file, write):
    with h5py.File(here / file, "w", libver="latest") as f:  # small groups
        f.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        in_tissue = [int(i != 11) for i in range(SPOTS)]
        frame(f, "obs", barcodes, {
            "array_row": [r for r, _ in array],
            "array_col": ([str(c) for c in range(8)], [c for _, c in array]),
            "in_tissue": in_tissue,
        })
        frame(f, "var", names, {"gene_ids": ids})
        f.create_group("obsm").create_dataset("spatial", data=xy)
        library = f.create_group("uns/spatial/L1")
        scales = {"tissue_hires_scalef": 0.5, "tissue_lowres_scalef": 0.1, "spot_diameter_fullres": 60.0}
        for key, value in scales.items():
            library.create_dataset(f"scalefactors/{key}", data=value)
        image = (np.arange(6 * 8 * 3) % 256).astype(np.float32).reshape(6, 8, 3) / 255
        library.create_dataset("images/hires", data=image)
        write(f)


def layered(f):
    sparse(f, "X", sp.csr_matrix(np.log1p(counts)).astype(np.float32), "csr")
    sparse(f, "layers/counts", sp.csc_matrix(counts), "csc")


h5ad("csr.h5ad", lambda f: sparse(f, "X", counts.astype(np.float32), "csr"))
h5ad("layers.h5ad", layered)
h5ad("dense.h5ad", lambda f: f.create_dataset("X", data=dense.astype(">f8"), chunks=(5, 4), compression="gzip"))

(here / "expected.json").write_text(
    json.dumps({
        "barcodes": barcodes, "names": names, "ids": ids, "array": array, "xy": xy.tolist(),
        "starts": counts.indptr.tolist(), "columns": counts.indices.tolist(), "values": counts.data.tolist(),
    }) + "\n"
)
