"""Folders as content-addressed packages that Ray's workers unpack: which files, their digest, the zip."""

from synapse_ray.packaging.errors import LargePackageWarning, PackagingError
from synapse_ray.packaging.package import Package, PackagedFile, pack, pack_module
from synapse_ray.packaging.watch import FolderWatch

__all__ = ["FolderWatch", "LargePackageWarning", "Package", "PackagedFile", "PackagingError", "pack", "pack_module"]
