<?php echo posix_getppid();
