# One image for the dashboard, the workers and every command; compose.yaml starts them. A test plays these steps.
# Its digest is not written here, since nobody looked it up where it was made:
#   docker buildx imagetools inspect python:3.11.15-slim-trixie
# prints it, to be put behind the tag as @sha256:…
FROM python:3.11.15-slim-trixie

ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONUNBUFFERED=1

WORKDIR /app
COPY requirements.lock ./
RUN python -m pip install --quiet --require-hashes --only-binary :all: -r requirements.lock

COPY app.py LICENSE ./
COPY .streamlit .streamlit/
COPY pages pages/
COPY data/sample data/sample/
COPY ccexport ccexport/
# read by another user than the one who owns it, whatever the modes of the folder that it came from; compiled now, since
# the root file system may be read-only later
RUN chmod -R go=rX . && \
    python -m compileall -q app.py pages ccexport && \
    install -d -m 0700 -o 10001 -g 10001 /data

ENV CCEXPORT_DATA_DIR=/data \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
VOLUME /data
EXPOSE 8501
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=60s --timeout=20s --start-period=60s CMD ["python", "-m", "ccexport", "worker", "--check"]
ENTRYPOINT ["python", "-m", "ccexport"]
CMD ["worker"]
