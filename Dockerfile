# CPU:  docker build -t prunebench .
# CUDA: docker build -t prunebench:cuda --build-arg BASE=nvidia/cuda:13.0.1-runtime-ubuntu24.04 .
# Torch's wheel brings its own CUDA libraries; the CUDA base adds what tools of a cluster expect. Run with --gpus all.
ARG BASE=python:3.11-slim
FROM ${BASE}
RUN command -v python3 >/dev/null || (apt-get update && apt-get install -y --no-install-recommends python3 python3-venv python3-pip && rm -rf /var/lib/apt/lists/*)
ENV VIRTUAL_ENV=/opt/prunebench PATH=/opt/prunebench/bin:$PATH PRUNEBENCH_DATA=/data PRUNEBENCH_STORE=/store
RUN python3 -m venv /opt/prunebench && pip install --no-cache-dir uv
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY prunebench prunebench
COPY plugins plugins
RUN uv pip install --no-cache ".[wandb,tensorboard]" -c constraints.txt && rm -rf /src
RUN useradd --create-home prunebench && mkdir /data /store /work && chown prunebench /data /store /work
USER prunebench
WORKDIR /work
VOLUME ["/data", "/store"]
ENTRYPOINT ["prunebench"]
CMD ["--help"]
