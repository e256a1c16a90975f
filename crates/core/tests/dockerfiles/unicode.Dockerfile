FROM debian:12
ENV grüße="schöne grüße" 名=前
RUN echo "日本語" \
    é
COPY <<ende /ü
ß
ende
