"""Batches and serving on several machines with Ray, an extra: requirements-ray.txt."""
