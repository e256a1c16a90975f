from debian:12 As First
run a
Copy --from=FIRST x y
oNbUiLd ruN b
