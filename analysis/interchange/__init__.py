"""Runs and sweeps for other programs, and other programs' runs for us.

Out: tables as Parquet and CSV, whole Datasets as Zarr. In: output files of dewi-kadita 0.0.4.
"""

from simengine.analysis.interchange.dewi_kadita import import_dewi_kadita
from simengine.analysis.interchange.exporting import FORMATS, WHATS, export

__all__ = ["FORMATS", "WHATS", "export", "import_dewi_kadita"]
