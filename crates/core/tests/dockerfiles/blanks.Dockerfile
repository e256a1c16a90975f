

   FROM    debian:12     AS   x   

	
RUN	one	two  
COPY  a   b	c   
   \
   

   EXPOSE   80   81
