# What synapse-ray needs, in the versions of uv.lock, gathered on the host: nothing is downloaded here.
ARG BASE=python:3.12-slim
FROM $BASE
COPY packages /opt/packages
# A core minute or two are saved by leaving out what no node of these tests imports.
RUN python -c "import site; open(site.getsitepackages()[0] + '/packages.pth', 'w').write('/opt/packages')" \
    && { python -m compileall -q -j 0 -x 'ray/(air|data|llm|rllib|serve|train|tune)/' /opt/packages || true; }
