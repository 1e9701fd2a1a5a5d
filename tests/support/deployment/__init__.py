"""An old deployment: a small Flask app with the classic models and the classic API, run as a real process.

Tests migrate from it. ``runner.Deployment`` starts one, ``misbehaviour`` lists what it can do wrong.
"""
