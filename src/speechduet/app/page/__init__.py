"""The page: choose a recording, hear and see what becomes of it, take it home.

Gradio does the form; what is heard and seen are elements of our own (`page.js`), for which the
files come from the folder of a job and never from Gradio's cache.
"""
