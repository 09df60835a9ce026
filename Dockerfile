# Outrider on a CPU: `docker build -t outrider .`, then `docker run --rm --read-only --tmpfs /tmp outrider`.
# The kernels are compiled here, so that no start of a read-only image has to.
FROM python:3.12.11-slim-bookworm AS build

WORKDIR /src
# For what has no wheel, as Box2D of the driving demo; it stays behind in this stage.
RUN apt-get update && apt-get install --yes --no-install-recommends build-essential swig
RUN python -m venv /opt/outrider
ENV PATH=/opt/outrider/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# The CPU build of PyTorch first: pip would take several GB of CUDA otherwise.
RUN pip install --index-url https://download.pytorch.org/whl/cpu torch==2.13.0 torchvision==0.28.0
COPY constraints.txt pyproject.toml setup.cfg README.md LICENSE ./
COPY coverage coverage
COPY networks networks
COPY monitor monitor
COPY runtime runtime
RUN pip install -c constraints.txt '.[demo]'

FROM python:3.12.11-slim-bookworm
COPY --from=build /opt/outrider /opt/outrider
# Machine code for every x86-64 since 2013 (AVX2), whatever processor builds the image; on ARM take `generic`.
ENV PATH=/opt/outrider/bin:$PATH \
    NUMBA_CACHE_DIR=/opt/outrider/kernels \
    NUMBA_CPU_NAME=x86-64-v3 \
    NUMBA_CPU_FEATURES=
RUN outrider compile --to /opt/outrider/kernels --cpu x86-64-v3
RUN useradd --create-home --uid 10001 outrider
USER 10001
WORKDIR /tmp
ENTRYPOINT ["outrider"]
CMD ["demo", "pictures", "--fast", "-o", "/tmp/demo.html"]
