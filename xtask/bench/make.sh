set -e
perl /app/make.pl /app/made $(cat /app/kind)
echo STEP-ENDED $(date +%s.%N)
