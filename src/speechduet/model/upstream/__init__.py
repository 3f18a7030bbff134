"""The file formats and networks of the released SGMSE+ and StoRM weights."""
