FROM python:3.14-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH
WORKDIR /source
COPY requirements.txt .
RUN pip install --require-hashes --only-binary :all: --requirement requirements.txt
COPY . .
# The image needs no installers at run time.
RUN pip install --no-deps --no-build-isolation . && pip uninstall --yes setuptools pip

FROM python:3.14-slim
RUN useradd --uid 10001 --no-create-home candlegraph && install --directory --owner candlegraph --mode 700 /data
COPY --from=build /venv /venv
# Without DATABASE_URL, the embedded PostgreSQL stores its data in /data: mount a volume there.
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 CANDLEGRAPH_DATA_DIR=/data
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
ENTRYPOINT ["candlegraph"]
CMD ["serve", "--host", "0.0.0.0"]
