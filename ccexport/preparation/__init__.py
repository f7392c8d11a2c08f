"""Preparation: profiles become contacts, rejections, and files. Pure: it knows not where data comes from or goes."""
