FROM python:3.12-slim-bookworm AS build
# PyTorch for CPUs, a tenth of the size; --build-arg TORCH_INDEX=https://pypi.org/simple for GPUs.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /build
COPY requirements.txt ./
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --extra-index-url "$TORCH_INDEX" -r requirements.txt

FROM python:3.12-slim-bookworm
# OpenCV needs libGL and GLib. Debian's security updates matter more here than a pinned version.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home app
COPY --from=build /venv /venv
WORKDIR /app
COPY app.py LICENSE ./
COPY fer_models/ fer_models/
COPY explain/ explain/
COPY dashboard/ dashboard/
COPY examples/ examples/
COPY weights/ weights/
# Whatever writes writes to /tmp, so that all else can be read-only.
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HF_HOME=/tmp/hf MPLCONFIGDIR=/tmp/matplotlib
USER 1000
EXPOSE 7860
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=20s --start-period=120s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:7860/readyz', timeout=19)"]
ENTRYPOINT ["python", "app.py", "--host", "0.0.0.0"]
CMD ["--log-level", "info"]
