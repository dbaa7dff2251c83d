"""Small real tables that scikit-learn ships, read from its own files, so that they are there without a network.

Sources and remarks are those of scikit-learn's own descriptions (``sklearn/datasets/descr``); the licences are those
that the UCI Machine Learning Repository states for its copies, https://archive.ics.uci.edu.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from smalti.datasets.card import DatasetCard
from smalti.datasets.fetchers import Fetcher
from smalti.errors import Damaged, Unavailable

if TYPE_CHECKING:
    import pyarrow as pa

_UCI = "https://archive.ics.uci.edu/dataset"
_CC_BY = "CC BY 4.0, as the UCI repository states for its copy"
_TARGET = "target"


def _fetch(card: DatasetCard, loader: str, arguments: dict[str, Any]) -> pa.Table:
    """Return the table: the measured columns under scikit-learn's names, then ``target``: a class as text, or a number.

    Raises:
        Damaged: a file of scikit-learn's is not the one that the card is about.
        Unavailable: scikit-learn is not installed.
    """
    import pyarrow as pa

    try:
        from sklearn import datasets
    except ImportError as error:
        raise Unavailable(f"{card.name} is in scikit-learn, which is not installed; install it.") from error
    _check_files(card)
    bunch: Any = getattr(datasets, loader)(**arguments)
    columns = {str(name): bunch.data[:, at] for at, name in enumerate(bunch.feature_names)}
    classes: Any = getattr(bunch, "target_names", None)
    named = classes is not None and classes.dtype.kind == "U"
    target = [str(classes[number]) for number in bunch.target] if named else bunch.target
    return pa.table({**columns, _TARGET: target})


def _check_files(card: DatasetCard) -> None:
    """Raise Damaged where scikit-learn's files are not those of the card."""
    import hashlib
    from importlib.resources import files

    for name, wanted in card.checksums.items():
        found = hashlib.sha256((files("sklearn.datasets") / "data" / name).read_bytes()).hexdigest()
        if found != wanted:
            raise Damaged(
                f"{name} in scikit-learn has SHA-256 {found}, and the card of {card.name} is about {wanted}; install "
                "scikit-learn again, or call sklearn.datasets yourself if it is another edition."
            )


def _table(loader: str, arguments: dict[str, Any], **fields: Any) -> Fetcher:
    usage = f"fetch_dataset({fields['name']!r}, split='train')"
    card = DatasetCard(version="as scikit-learn 1.9.1 ships it", usage=usage, **fields)
    return Fetcher(card.name, partial(_fetch, card, loader, arguments), card)


TABLES = (
    _table(
        "load_iris",
        {},
        name="iris",
        title="150 iris flowers of three species: lengths and widths of sepals and petals, cm",
        source=f"R. A. Fisher's paper of 1936; {_UCI}/53/iris; in scikit-learn as sklearn/datasets/data/iris.csv",
        licence=_CC_BY,
        processing=("two wrong data points corrected by scikit-learn after Fisher's paper",),
        checksums={"iris.csv": "f13ffa8fdd56fd8e6c8d16d4081a3fbd3114bcd0aae4256c43205169cd9d1449"},
        quality=("The copy at UCI has two wrong data points, which this one has not.",),
        citation="R. A. Fisher, The use of multiple measurements in taxonomic problems, Annals of Eugenics 7, 1936",
    ),
    _table(
        "load_wine",
        {},
        name="wine",
        title="178 wines of three cultivators: 13 chemical measurements",
        source=f"M. Forina et al., PARVUS; {_UCI}/109/wine; in scikit-learn as sklearn/datasets/data/wine_data.csv",
        licence=_CC_BY,
        checksums={"wine_data.csv": "10e8a802908b34f86e5da8ce962f3c806694bc98450a18f61851af59f324bede"},
        citation="S. Aeberhard, M. Forina, Wine, UCI Machine Learning Repository, 1991",
    ),
    _table(
        "load_breast_cancer",
        {},
        name="breast-cancer",
        title="569 breast masses, malignant or benign: 30 measures of cell nuclei in images of fine needle aspirates",
        source=f"W. H. Wolberg, W. N. Street, O. L. Mangasarian; {_UCI}/17/breast+cancer+wisconsin+diagnostic; "
        "in scikit-learn as sklearn/datasets/data/breast_cancer.csv",
        licence=_CC_BY,
        checksums={"breast_cancer.csv": "fed3eb72d0575ef6192293f5093c6e801b1476b577d0386bf4455504522172ed"},
        citation="W. N. Street, W. H. Wolberg, O. L. Mangasarian, Nuclear feature extraction for breast tumor "
        "diagnosis, Proc. SPIE 1905, 1993",
    ),
    _table(
        "load_diabetes",
        {"scaled": False},
        name="diabetes",
        title="442 patients with diabetes: ten measurements, and how the disease went on in the year after them",
        source="https://www4.stat.ncsu.edu/~boos/var.select/diabetes.html; "
        "in scikit-learn as sklearn/datasets/data/diabetes_data_raw.csv.gz and diabetes_target.csv.gz",
        licence="not stated by the source; scikit-learn, which ships it, is BSD-3-Clause",
        processing=("none: the measurements are not scaled",),
        checksums={
            "diabetes_data_raw.csv.gz": "7fc0ded571454b1982210d3bb43f0aca44eae01a0b8654a3b24022bdb6b38009",
            "diabetes_target.csv.gz": "8e53f65eb811df43c206f3534bb3af0e5fed213bc37ed6ba36310157d6023803",
        },
        quality=("Which sex is 1 and which is 2 is not stated.", "s5 is possibly the logarithm of triglycerides."),
        citation="B. Efron, T. Hastie, I. Johnstone, R. Tibshirani, Least Angle Regression, Ann. Statistics 32, 2004",
    ),
    _table(
        "load_digits",
        {},
        name="digits",
        title="1797 handwritten digits of 8 x 8 pixels, each from 0 to 16",
        source=f"E. Alpaydin, C. Kaynak; {_UCI}/80/optical+recognition+of+handwritten+digits, its test set; "
        "in scikit-learn as sklearn/datasets/data/digits.csv.gz",
        licence=_CC_BY,
        processing=("black pixels of 32 x 32 bitmaps counted in blocks of 4 x 4, by its authors",),
        checksums={"digits.csv.gz": "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"},
        citation="C. Kaynak, Methods of Combining Multiple Classifiers, MSc thesis, Bogazici University, 1995",
    ),
)
