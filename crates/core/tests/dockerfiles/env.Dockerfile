FROM scratch
ENV A=1 B="two words" C=three\ words D='$A' E= F=$A"$B"${C}
ENV OLD the rest, "quoted" or = not   
ENV	TAB	value
ENV KEY =x
ENV abc=hello
ENV abc=bye def=$abc
ENV $NAME=x "quoted key"=y
